package usage_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/devmentor/ai-gateway/shared/usage"
)

func TestNanoSurvivesJSON(t *testing.T) {
	for _, tc := range []struct {
		amount usage.Nano
		json   string
	}{
		{0, "0"},
		{1, "0.000000001"},
		{-1, "-0.000000001"},
		{5850, "0.00000585"},
		{usage.Dollar, "1"},
		{12_340_000_000, "12.34"},
		{usage.None - 1, "999999.999999999"},
		{usage.None, "1000000"},
		{-usage.None - 1, "-1000000.000000001"},
	} {
		b, err := json.Marshal(tc.amount)
		if err != nil || string(b) != tc.json {
			t.Errorf("Marshal(%d) = %s, %v, want %s", int64(tc.amount), b, err, tc.json)
		}
		var back usage.Nano
		if err := json.Unmarshal(b, &back); err != nil || back != tc.amount {
			t.Errorf("Unmarshal(%s) = %d, %v, want %d", b, int64(back), err, int64(tc.amount))
		}
	}
	var n usage.Nano
	for _, bad := range []string{`"1"`, `1e3`, `null`, `1.0000000001`, `99999999999`} {
		if err := json.Unmarshal([]byte(bad), &n); err == nil {
			t.Errorf("Unmarshal(%s) = %d, want an error", bad, int64(n))
		}
	}
}

func TestParseUSD(t *testing.T) {
	for s, want := range map[string]usage.Nano{"0": 0, "25": 25 * usage.Dollar, "0.5": usage.Dollar / 2, "0.000000001": 1, "7.": 7 * usage.Dollar, "6e-06": 6000, "1e3": 1000 * usage.Dollar, "1.25e+2": 125 * usage.Dollar, "0e5": 0, "12.5e-1": 1_250_000_000,
		"999999.999999999": usage.None - 1} {
		if got, err := usage.ParseUSD(s); err != nil || got != want {
			t.Errorf("ParseUSD(%q) = %d, %v, want %d", s, int64(got), err, int64(want))
		}
	}
	for _, bad := range []string{"", ".5", "-1", "+1", "1000000", "1e6", "1e99", "1e-10", "1e", "e5", "1e5e5", "1e+-5", "-1e3", "1.2.3e1", "1e999999999999", "1.0000000001", "1,5", " 1", "NaN", "1.2.3", "٣"} {
		if got, err := usage.ParseUSD(bad); err == nil {
			t.Errorf("ParseUSD(%q) = %d, want an error", bad, int64(got))
		}
	}
}

func TestUSDOfExtremes(t *testing.T) {
	if got, want := usage.Nano(math.MinInt64).USD(), "-9223372036.854775808"; got != want {
		t.Errorf("USD = %s, want %s", got, want)
	}
}
