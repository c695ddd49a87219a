package api

import (
	"maps"
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

// query refuses query parameters that nobody reads, and those that are given
// twice where only one is read.
func (v *visit) query() error {
	if v.r.URL.RawQuery == "" {
		return nil
	}
	given := v.r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(given)) {
		switch {
		case !slices.Contains(v.params, name):
			return fault.Unknown(name, v.params...)
		case len(given[name]) > 1 && name != "labels":
			return fault.Field(name, "'%s' is given twice.", name)
		}
	}
	return nil
}
