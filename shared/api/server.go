// Package api is the gateway's HTTP face: routes, headers, errors and the wire
// formats of answers. It is the only package that writes HTTP.
package api

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/codegen"
	"github.com/devmentor/ai-gateway/shared/conversation"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/router"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Server serves every endpoint. A function that serves one endpoint needs only
// the fields which that endpoint uses.
type Server struct {
	Gateway   *gateway.Gateway
	Users     admission.Users
	Keys      admission.Keys
	Projects  admission.Projects
	WriteOffs admission.WriteOffs

	Library  rag.Library // what /ai/documents stores in
	Passages rag.Finder  // what /ai/search asks: the same library

	Recipes       recipe.Store // templates and chains
	Conversations conversation.Store
	Runs          chain.Runs       // nil: runs of chains are not kept
	Ledger        admission.Ledger // what usage is counted from

	CodeTools codegen.Tools // formatters of generated files; nil: they stay as they are
	CodeModel string        // for generating code when the request names no model; "" if there is none

	AdminKey func(context.Context) (string, error) // GATEWAY_ADMIN_KEY; "" if there is none
	Ready    []Check                               // what /health/ready asks
	Targets  func() []router.State                 // the health of providers' models, for /health/ready; nil: unknown
	Metrics  http.Handler                          // nil: no /metrics
	Version  string
	Log      *slog.Logger

	// Open notes that a request which runs a model has begun, until the returned
	// function is called. Nil: nobody counts.
	Open func() func()

	// Trace begins the span of a request that runs a model; end is called after
	// settlement, before the response ends. Nil: no tracing.
	Trace func(ctx context.Context, r *http.Request, route string) (_ context.Context, end func(*usage.Record))

	TraceRun chain.Tracer // makes the spans of runs of chains; nil: no tracing
}

// Check is a dependency that /health/ready asks for.
type Check struct {
	Name     string
	Ask      func(context.Context) error
	Optional bool // the gateway is ready without it
}

// Route is one method and path pattern of the API.
type Route struct {
	Method, Path string
	Function     string // the directory under functions/ that serves it
	Handler      func(*Server) http.Handler
}

// Routes lists the API. Paths under /ai/ are served under /ai/v1/ as well.
func Routes() []Route {
	return []Route{
		{"POST", "/ai/chat/completions", "chat", (*Server).Chat},
		{"POST", "/ai/code/generate", "code", (*Server).Code},
		{"POST", "/ai/embeddings", "embeddings", (*Server).Embeddings},
		{"GET", "/ai/models", "models", (*Server).Models},
		{"GET", "/ai/models/{id...}", "models", (*Server).Models},
		{"POST", "/ai/documents", "documents", (*Server).Documents},
		{"GET", "/ai/documents", "documents", (*Server).Documents},
		{"GET", "/ai/documents/{id...}", "documents", (*Server).Documents},
		{"DELETE", "/ai/documents/{id...}", "documents", (*Server).Documents},
		{"POST", "/ai/search", "search", (*Server).Search},
		{"POST", "/ai/templates", "templates", (*Server).Templates},
		{"GET", "/ai/templates", "templates", (*Server).Templates},
		{"GET", "/ai/templates/{name}", "templates", (*Server).Templates},
		{"DELETE", "/ai/templates/{name}", "templates", (*Server).Templates},
		{"GET", "/ai/templates/{name}/versions", "templates", (*Server).Templates},
		{"GET", "/ai/templates/{name}/export", "templates", (*Server).Templates},
		{"POST", "/ai/templates/{name}/render", "templates", (*Server).Templates},
		{"GET", "/ai/templates/{name}/usage", "templates", (*Server).Templates},
		{"POST", "/ai/templates/{name}/labels/{label}", "templates", (*Server).Templates},
		{"DELETE", "/ai/templates/{name}/labels/{label}", "templates", (*Server).Templates},
		{"POST", "/ai/chains", "chains", (*Server).Chains},
		{"GET", "/ai/chains", "chains", (*Server).Chains},
		{"GET", "/ai/chains/{name}", "chains", (*Server).Chains},
		{"DELETE", "/ai/chains/{name}", "chains", (*Server).Chains},
		{"GET", "/ai/chains/{name}/versions", "chains", (*Server).Chains},
		{"POST", "/ai/chains/{name}/labels/{label}", "chains", (*Server).Chains},
		{"DELETE", "/ai/chains/{name}/labels/{label}", "chains", (*Server).Chains},
		{"POST", "/ai/chains/{name}/runs", "chains", (*Server).Chains},
		{"GET", "/ai/chains/{name}/runs/{id}", "chains", (*Server).Chains},
		{"POST", "/ai/conversations", "conversations", (*Server).ServeConversations},
		{"GET", "/ai/conversations", "conversations", (*Server).ServeConversations},
		{"GET", "/ai/conversations/{id}", "conversations", (*Server).ServeConversations},
		{"DELETE", "/ai/conversations/{id}", "conversations", (*Server).ServeConversations},
		{"GET", "/ai/conversations/{id}/messages", "conversations", (*Server).ServeConversations},
		{"POST", "/ai/conversations/{id}/messages", "conversations", (*Server).ServeConversations},
		{"POST", "/admin/users", "admin", (*Server).Admin},
		{"GET", "/admin/users", "admin", (*Server).Admin},
		{"GET", "/admin/users/{id}", "admin", (*Server).Admin},
		{"PATCH", "/admin/users/{id}", "admin", (*Server).Admin},
		{"DELETE", "/admin/users/{id}", "admin", (*Server).Admin},
		{"POST", "/admin/users/{id}/keys", "admin", (*Server).Admin},
		{"GET", "/admin/users/{id}/keys", "admin", (*Server).Admin},
		{"DELETE", "/admin/users/{id}/keys/{kid}", "admin", (*Server).Admin},
		{"POST", "/admin/users/{id}/keys/{kid}/rotate", "admin", (*Server).Admin},
		{"POST", "/admin/projects", "admin", (*Server).Admin},
		{"GET", "/admin/projects", "admin", (*Server).Admin},
		{"GET", "/admin/projects/{id}", "admin", (*Server).Admin},
		{"PATCH", "/admin/projects/{id}", "admin", (*Server).Admin},
		{"DELETE", "/admin/projects/{id}", "admin", (*Server).Admin},
		{"GET", "/admin/ledger", "admin", (*Server).Admin},
		{"POST", "/admin/ledger/{id}/write-off", "admin", (*Server).Admin},
		{"GET", "/health", "health", (*Server).Health},
		{"GET", "/health/ready", "health", (*Server).Health},
		{"GET", "/", "health", (*Server).Health},
		{"GET", "/metrics", "local", (*Server).MetricsPage},
	}
}
