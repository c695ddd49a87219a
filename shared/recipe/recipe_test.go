package recipe_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/recipe"
)

func TestParseRef(t *testing.T) {
	for text, want := range map[string]recipe.Ref{
		"": {}, "latest": {}, "1": {Number: 1}, "42": {Number: 42}, "1073741824": {Number: recipe.MaxVersion},
		"production": {Label: "production"}, "v1.2_b-c": {Label: "v1.2_b-c"}, "Latest": {Label: "Latest"},
	} {
		got, ok := recipe.ParseRef(text)
		if !ok || got != want {
			t.Errorf("ParseRef(%q) = %+v, %v, want %+v", text, got, ok, want)
		}
		if again, ok := recipe.ParseRef(got.String()); !ok || again != got {
			t.Errorf("ParseRef(%+v.String()) = %+v, %v", got, again, ok)
		}
	}
	for _, text := range []string{"0", "-1", "01", "+1", "1073741825", "99999999999999999999", "1a", "_x", "a b", "a#b", "a@b", "ü", strings.Repeat("x", recipe.MaxName+1)} {
		if got, ok := recipe.ParseRef(text); ok {
			t.Errorf("ParseRef(%q) = %+v, want none", text, got)
		}
	}
}

func TestMissingSaysWhatIsMissing(t *testing.T) {
	for ref, want := range map[recipe.Ref][2]string{
		{}:              {"There is no chain 'x'.", ""},
		{Number: 3}:     {"The chain 'x' has no version 3.", "version"},
		{Label: "live"}: {"The chain 'x' has no label 'live'.", "version"},
	} {
		if err := recipe.Missing(recipe.Chain, "x", ref); !errors.Is(err, fault.NotFound) || err.Error() != want[0] || fault.As(err).Param != want[1] {
			t.Errorf("Missing(%+v) = %v about %q, want %q", ref, err, fault.As(err).Param, want)
		}
	}
}

func TestReadRef(t *testing.T) {
	for text, want := range map[string]recipe.Ref{
		"": {}, "null": {}, `"latest"`: {}, "3": {Number: 3}, `"3"`: {Number: 3}, `"production"`: {Label: "production"},
	} {
		if got, err := recipe.ReadRef("version", []byte(text)); err != nil || got != want {
			t.Errorf("ReadRef(%s) = %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{`""`, "0", "-1", "1.5", "true", "[]", "{}", `"a b"`, "99999999999999999999"} {
		got, err := recipe.ReadRef("a.version", []byte(text))
		if f := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Param != "a.version" {
			t.Errorf("ReadRef(%s) = %+v, %v, want an error about a.version", text, got, err)
		}
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "Tutor-2.v_1": true, strings.Repeat("x", recipe.MaxName): true,
		"": false, "1a": false, "-a": false, "a/b": false, "a@1": false, "a b": false, "a\n": false, "é": false, strings.Repeat("x", recipe.MaxName+1): false,
	} {
		if got := recipe.ValidName(name); got != want {
			t.Errorf("ValidName(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestValidLabel(t *testing.T) {
	for label, want := range map[string]bool{"live": true, "Latest": true, "latest": false, "": false, "3": false, strings.Repeat("x", recipe.MaxName+1): false} {
		if got := recipe.ValidLabel(label); got != want {
			t.Errorf("ValidLabel(%q) = %v, want %v", label, got, want)
		}
	}
}

func TestHeadNumbersVersions(t *testing.T) {
	h := recipe.Head{Latest: 7, Labels: map[string]int{"live": 3}}
	for ref, want := range map[recipe.Ref]int{{}: 7, {Number: 5}: 5, {Label: "live"}: 3, {Label: "gone"}: 0} {
		if got := h.Number(ref); got != want {
			t.Errorf("Number(%+v) = %d, want %d", ref, got, want)
		}
	}
}
