package rag

import (
	"errors"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/fault"
)

func TestFilterMatches(t *testing.T) {
	metadata := `{"lang":"go","year":2026,"draft":false,"tags":["a","b",3],"deep":{"lang":"rust"},"none":null,"n=s":"x"}`
	for _, c := range []struct {
		filter string
		want   bool
	}{
		{`{}`, true},
		{`null`, true},
		{`{"lang":"go"}`, true},
		{`{"lang":"Go"}`, false},
		{`{"lang":["rust","go"]}`, true},
		{`{"lang":["rust","c"]}`, false},
		{`{"year":2026}`, true},
		{`{"year":2026.0}`, true},
		{`{"year":2.026e3}`, true},
		{`{"year":"2026"}`, false},
		{`{"draft":false}`, true},
		{`{"draft":true}`, false},
		{`{"tags":"b"}`, true},
		{`{"tags":3}`, true},
		{`{"tags":["x","a"],"lang":"go"}`, true},
		{`{"tags":"a","lang":"rust"}`, false},
		{`{"deep":"rust"}`, false},
		{`{"missing":"x"}`, false},
		{`{"n=s":"x"}`, true},
		{`{"n":"=sx"}`, false},
	} {
		f, err := ParseFilter("filter", []byte(c.filter))
		if err != nil {
			t.Errorf("ParseFilter(%s) = %v", c.filter, err)
		}
		if got := f.Match(Labels([]byte(metadata))); got != c.want {
			t.Errorf("%s matches = %v, want %v", c.filter, got, c.want)
		}
	}
}

func TestWrongFiltersNameTheField(t *testing.T) {
	for filter, param := range map[string]string{
		`[]`: "filter", `"lang"`: "filter", `{"lang":{"$ne":"go"}}`: "filter.lang", `{"lang":null}`: "filter.lang", `{"lang":[]}`: "filter.lang",
		`{"lang":[["go"]]}`: "filter.lang", `{"lang":"` + strings.Repeat("x", 257) + `"}`: "filter.lang",
		`{"lang":[` + strings.Repeat("1,", 64) + `1]}`: "filter.lang",
	} {
		_, err := ParseFilter("filter", []byte(filter))
		if f := fault.As(err); f == nil || !errors.Is(err, fault.Invalid) || f.Param != param {
			t.Errorf("ParseFilter(%.40s) = %+v, want a fault of %s", filter, f, param)
		}
	}
}
