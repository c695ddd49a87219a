package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/devmentor/ai-gateway/shared/fault"
)

// endpoint serves one path: methods names what it takes, OPTIONS is answered
// for browsers, everything else is a 405.
func (s *Server) endpoint(methods string, h handler) http.Handler {
	allowed := strings.Fields(methods)
	return s.handle(func(v *visit) error {
		switch m := v.r.Method; {
		case slices.Contains(allowed, m), m == http.MethodHead && slices.Contains(allowed, http.MethodGet):
			return h(v)
		case m == http.MethodOptions:
			return preflight(v)
		}
		v.Header().Set("Allow", strings.Join(allowed, ", ")+", OPTIONS")
		return fault.New(fault.Method, "%s is not served at %s; use %s.", v.r.Method, v.r.URL.Path, strings.Join(allowed, " or "))
	})
}

// methods says what each method does at a path.
type methods map[string]handler

// paths serves paths, each also under /ai/v1/, and says 404 for all others.
func (s *Server) paths(all map[string]methods) *http.ServeMux {
	mux := http.NewServeMux()
	for path, by := range all {
		var names []string
		for _, m := range []string{"GET", "POST", "PATCH", "DELETE"} {
			if by[m] != nil {
				names = append(names, m)
			}
		}
		h := s.endpoint(strings.Join(names, " "), func(v *visit) error {
			if v.r.Method == http.MethodHead {
				return by[http.MethodGet](v)
			}
			return by[v.r.Method](v)
		})
		mount(mux, path, h)
	}
	mux.Handle("/", s.elsewhere(""))
	return mux
}

// mount serves path, and what is under /ai/ also under /ai/v1/.
func mount(mux *http.ServeMux, path string, h http.Handler) {
	mux.Handle(path, h)
	if rest, ok := strings.CutPrefix(path, "/ai/"); ok {
		mux.Handle("/ai/v1/"+rest, h)
	}
}

// elsewhere says 404, and the hint, for every path that is not served.
func (s *Server) elsewhere(hint string) http.Handler {
	return s.handle(func(v *visit) error {
		if v.r.Method == http.MethodOptions {
			return preflight(v)
		}
		return fault.New(fault.NotFound, "There is nothing at %s.%s", v.r.URL.Path, hint)
	})
}

// unversioned strips the optional /v1 of /ai/v1/….
func unversioned(path string) string {
	if rest, ok := strings.CutPrefix(path, "/ai/v1/"); ok {
		return "/ai/" + rest
	}
	return path
}

// Handler serves every route: the single process.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	seen := map[string]bool{}
	for _, r := range Routes() {
		if seen[r.Path] {
			continue
		}
		seen[r.Path] = true
		pattern := r.Path
		if pattern == "/" {
			pattern = "/{$}"
		}
		mount(mux, pattern, r.Handler(s))
	}
	mux.Handle("/admin/", s.Admin()) // what is not there is nobody's business without a key
	mux.Handle("/", s.elsewhere(" The chat endpoint is POST /ai/chat/completions; docs/api.md lists the rest."))
	return mux
}
