package api

import (
	"maps"
	"net/url"
	"slices"

	"github.com/devmentor/ai-gateway/shared/fault"
)

// takes says which query parameters h reads; every other one is refused once the
// key has been proved, since one that is misspelt would change what is done
// without a word. Endpoints whose clients are SDKs of others read none, and
// ignore what those send.
func takes(h handler, params ...string) handler {
	return func(v *visit) error {
		v.params = params
		return h(v)
	}
}

// takesLists is takes for parameters that may be given several times.
func takesLists(h handler, params ...string) handler {
	return takes(func(v *visit) error {
		v.lists = params
		return h(v)
	}, params...)
}

// query refuses query parameters that nobody reads, those that are given twice
// where only one is read, and what cannot be read at all: URL.Query leaves that
// out without a word.
func (v *visit) query() error {
	if v.r.URL.RawQuery == "" {
		return nil
	}
	given, err := url.ParseQuery(v.r.URL.RawQuery)
	if err != nil {
		return fault.New(fault.Invalid, "The query of the address cannot be read: %v.", err)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		switch {
		case !slices.Contains(v.params, name):
			return fault.Unknown(name, v.params...)
		case len(given[name]) > 1 && !slices.Contains(v.lists, name):
			return fault.Field(name, "'%s' is given twice.", name)
		}
	}
	return nil
}
