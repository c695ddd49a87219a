package rawjson_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/rawjson"
)

func TestLongNumber(t *testing.T) {
	nines := strings.Repeat("9", 100)
	for text, want := range map[string]bool{
		nines:                                   false,
		nines + "9":                             true,
		`{"a":[1,-` + nines + `]}`:              true,
		`{"` + nines + `9":"` + nines + `9"}`:   false,
		`["\"` + nines + `9", "\\", 1]`:         false,
		`["\\",` + nines + `.5]`:                true,
		`[1` + strings.Repeat(",12", 200) + `]`: false,
		`[1e` + nines + `]`:                     true,
		`true`:                                  false,
		``:                                      false,
	} {
		if got := rawjson.LongNumber([]byte(text), 100); got != want {
			t.Errorf("LongNumber(%.40s) = %t, want %t", text, got, want)
		}
	}
}

// TestAtLeast holds AtLeast to what Marshal makes, where no character needs more than
// its byte.
func TestAtLeast(t *testing.T) {
	for _, text := range []string{`null`, `true`, `""`, `"abc"`, `-1.5e3`, `[]`, `[1]`, `[1,[true,null],"x"]`, `{}`, `{"a":1}`, `{"a":{"b":[1,2]},"c":"d"}`} {
		dec := json.NewDecoder(bytes.NewReader([]byte(text)))
		dec.UseNumber()
		var v any
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		if got := rawjson.AtLeast(v, 1000); got != len(text) {
			t.Errorf("AtLeast(%s) = %d, want %d", text, got, len(text))
		}
	}
	for _, v := range []any{"\n<\x00é", false, []any{1.5, 2, struct{ A string }{"abc"}}} { // escapes, false and other types are more
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if got := rawjson.AtLeast(v, 1000); got > len(text) {
			t.Errorf("AtLeast(%s) = %d, want at most %d", text, got, len(text))
		}
	}
}

func TestAtLeastStops(t *testing.T) {
	part := []any{strings.Repeat("x", 1000)}
	var v any = part
	for range 60 { // 2^60 KB, if somebody wrote it
		v = []any{v, v}
	}
	if got := rawjson.AtLeast(v, 5000); got <= 5000 || got > 10_000 {
		t.Errorf("AtLeast = %d, want somewhat more than 5000", got)
	}
}
