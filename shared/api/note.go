package api

import (
	"errors"
	"log/slog"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
)

// note writes the log line of a request that runs no model; the others have
// theirs from settlement. err is what the client is told.
func (s *Server) note(v *visit, c *gateway.Call, err error) {
	status := v.status
	if err != nil && !v.sent {
		status = Status(err)
		if errors.Is(err, fault.RateLimited) {
			limits(v.Header(), c.Grant.Limits)
		}
	}
	path := v.r.URL.Path // of users and keys
	if c.Record.Operation != "admin" {
		path = v.r.Pattern // names of documents and the like are not ours to tell
		if path == "" {    // a function that serves nothing else
			path = "/ai/" + c.Record.Operation
		}
	}
	s.Gateway.Note(v.r.Context(), c, status, err, slog.String("method", v.r.Method), slog.String("path", path))
}
