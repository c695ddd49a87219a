package rag

import (
	"cmp"
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

// TestNumbersInFilters are equal if their values are, to the last digit.
func TestNumbersInFilters(t *testing.T) {
	equal := [][]string{
		{"0", "-0", "0.0", "0e5", "0e-99"},
		{"1", "1.0", "1e0", "10e-1", "0.1E+1", "100e-2"},
		{"-1", "-1.00"},
		{"1000000", "1e6", "1E+06"},
		{"0.1", "1e-1", "0.10"},
		{"1234567890123456789", "1234567890123456789.0", "1.234567890123456789e18", "12345678901234567890e-1"},
		{"1234567890123456780"}, {"1234567890123456788"}, {"1234567890123456800", "12345678901234568e2"},
		{"9007199254740992"}, {"9007199254740993"}, {"-9007199254740993"},
		{"0.1000000000000000055511151231257827"},
		{"1e400", "10e399"}, {"1e401"}, {"1e-400"}, {"-1e-400"}, {"1e2147483647"},
		{strings.Repeat("1", 250)}, {strings.Repeat("1", 249) + "2"},
	}
	of := map[string]int{}
	for i, same := range equal {
		first := ""
		for _, text := range same {
			list := Labels([]byte(`{"n":` + text + `}`))
			if len(list) != 1 {
				t.Fatalf("Labels of %s = %q", text, list)
			}
			if first = cmp.Or(first, list[0]); list[0] != first {
				t.Errorf("%s = %s, and %s = %s; want the same", same[0], first, text, list[0])
			}
		}
		if other, ok := of[first]; ok {
			t.Errorf("%s and %s are both %s", equal[other][0], same[0], first)
		}
		of[first] = i
	}
	// As they were written before they were exact: libraries keep them.
	for text, want := range map[string]string{"2026": "n=n2026", "1e6": "n=n1e+06", "0.25": "n=n0.25", "-3.5e-9": "n=n-3.5e-09", "1234567": "n=n1.234567e+06"} {
		if got := Labels([]byte(`{"n":` + text + `}`)); len(got) != 1 || got[0] != want {
			t.Errorf("Labels of %s = %q, want %s", text, got, want)
		}
	}
	for _, text := range []string{"1e2147483648", "1e99999999999999999999", "1" + strings.Repeat("2", 300)} {
		if got := Labels([]byte(`{"n":` + text + `}`)); len(got) != 0 {
			t.Errorf("Labels of %.30s = %.300q, want none", text, got)
		}
		if _, err := ParseFilter("filter", []byte(`{"n":`+text+`}`)); fault.As(err) == nil || fault.As(err).Param != "filter.n" {
			t.Errorf("ParseFilter of %.30s = %v, want a fault of filter.n", text, err)
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
