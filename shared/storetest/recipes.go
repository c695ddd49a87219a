package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/requestid"
)

// RunRecipes is the contract of stores of recipes. It calls open once per
// subtest; backends may return the same store each time, since every subtest
// has tenants of its own.
func RunRecipes(t *testing.T, open func(t *testing.T) recipe.Store) {
	for _, c := range append(recipeCases, recipeRaces...) {
		t.Run(c.name, func(t *testing.T) {
			c.run(&author{T: t, Store: open(t), tenant: "t-" + requestid.New(time.Now()), kind: recipe.Template})
		})
	}
}

type recipeCase struct {
	name string
	run  func(a *author)
}

var recipeCases = []recipeCase{
	{"the first version is found by number, by label and as the latest", func(a *author) {
		v, h, added := a.add(1, "tutor", `{"a":1}`, "production", "staging")
		want := version(1, "tutor", 1, `{"a":1}`)
		wantEqual(a.T, "Add", v, want)
		wantHead := recipe.Head{Name: "tutor", Latest: 1, Labels: map[string]int{"production": 1, "staging": 1}, Created: at(1), Updated: at(1)}
		wantEqual(a.T, "Add's head", h, wantHead)
		if !added {
			a.Error("added = false, want true")
		}
		for _, ref := range []recipe.Ref{{}, {Number: 1}, {Label: "production"}, {Label: "staging"}} {
			a.wantVersion("tutor", ref, want)
		}
		a.wantHead(wantHead)
		a.versionMissing("tutor", recipe.Ref{Number: 2}, recipe.Ref{Label: "Production"}, recipe.Ref{Label: "latest"})
	}},
	{"versions do not change when others are added", func(a *author) {
		a.add(1, "tutor", `{"a":1}`, "production")
		v, h, _ := a.add(2, "tutor", `{"a":2}`)
		wantEqual(a.T, "Add", v, version(2, "tutor", 2, `{"a":2}`))
		wantEqual(a.T, "Add's head", h, recipe.Head{Name: "tutor", Latest: 2, Labels: map[string]int{"production": 1}, Created: at(1), Updated: at(2)})
		a.wantVersion("tutor", recipe.Ref{Number: 1}, version(1, "tutor", 1, `{"a":1}`))
		a.wantVersion("tutor", recipe.Ref{Label: "production"}, version(1, "tutor", 1, `{"a":1}`))
		a.wantVersion("tutor", recipe.Ref{}, version(2, "tutor", 2, `{"a":2}`))
		a.wantHead(h)
	}},
	{"the number asked for is ignored", func(a *author) {
		for i, number := range []int{7, 1, -1} {
			v := recipe.Version{Name: "tutor", Number: number, Body: json.RawMessage(fmt.Sprint(i)), Created: at(i)}
			v, h, _, err := a.Add(a.Context(), a.tenant, a.kind, v, nil)
			if err != nil || v.Number != i+1 || h.Latest != i+1 {
				a.Errorf("Add = number %d, latest %d, %v, want %d", v.Number, h.Latest, err, i+1)
			}
		}
		a.versionMissing("tutor", recipe.Ref{Number: 7})
	}},
	{"bodies keep every byte", func(a *author) {
		for i, body := range []string{
			"{\"b\": 1 , \n\t\"a\":2}", `{"html":"<b>&amp;\u003c</b>"}`, `{"n":1.00,"big":12345678901234567890123}`, `{"twice":1,"twice":2}`,
			"\"\u2028 日本 \\ud83d\\ude00 😀\"", `null`, `{"long":"` + strings.Repeat("x", recipe.MaxBody-11) + `"}`,
		} {
			v, _, _ := a.add(i, "bytes", body)
			if string(v.Body) != body {
				a.Errorf("Add = %.80q, want %.80q", v.Body, body)
			}
			got, err := a.Version(a.Context(), a.tenant, a.kind, "bytes", recipe.Ref{Number: i + 1})
			if err != nil || string(got.Body) != body {
				a.Errorf("Version = %.80q, %v, want %.80q", got.Body, err, body)
			}
			page, err := a.Versions(a.Context(), a.tenant, a.kind, "bytes", 0, 1)
			if err != nil || len(page) != 1 || string(page[0].Body) != body {
				a.Errorf("Versions = %.80s, %v, want %.80q", fmt.Sprint(page), err, body)
			}
		}
	}},
	{"the latest version's bytes are no new version", func(a *author) {
		_, before, _ := a.add(1, "tutor", `{"a":1}`, "production")
		v, h, added := a.add(2, "tutor", `{"a":1}`)
		if added {
			a.Error("added = true for the same bytes")
		}
		wantEqual(a.T, "Add", v, version(1, "tutor", 1, `{"a":1}`))
		wantEqual(a.T, "Add's head", h, before)
		a.wantHead(before)
		if v, _, added = a.add(3, "tutor", `{"a": 1}`); !added || v.Number != 2 {
			a.Errorf("Add of other bytes = number %d, %v, want 2, true", v.Number, added)
		}
		if v, _, added = a.add(4, "tutor", `{"a":1}`); !added || v.Number != 3 {
			a.Errorf("Add of an old version's bytes = number %d, %v, want 3, true", v.Number, added)
		}
		a.wantNumbers("tutor", 0, 10, 3, 2, 1)
	}},
	{"the latest version's bytes move labels", func(a *author) {
		a.add(1, "tutor", `1`, "production", "old")
		a.add(2, "tutor", `2`, "staging")
		v, h, added := a.add(3, "tutor", `2`, "production", "staging", "new")
		if added || v.Number != 2 {
			a.Errorf("Add = number %d, %v, want 2, false", v.Number, added)
		}
		want := recipe.Head{Name: "tutor", Latest: 2, Labels: map[string]int{"production": 2, "staging": 2, "new": 2, "old": 1}, Created: at(1), Updated: at(3)}
		wantEqual(a.T, "Add's head", h, want)
		a.add(4, "tutor", `2`, "production") // moves nothing
		a.wantHead(want)
	}},
	{"labels move on, back and away", func(a *author) {
		ctx := a.Context()
		for i := 1; i <= 3; i++ {
			a.add(i, "tutor", fmt.Sprint(i))
		}
		for i, number := range []int{2, 3, 1, 1} {
			h, err := a.Label(ctx, a.tenant, a.kind, "tutor", "production", number, at(10+i))
			if err != nil {
				a.Fatalf("Label = %v", err)
			}
			want := recipe.Head{Name: "tutor", Latest: 3, Labels: map[string]int{"production": number}, Created: at(1), Updated: at(10 + min(i, 2))}
			wantEqual(a.T, "Label", h, want)
			a.wantHead(want)
			a.wantVersion("tutor", recipe.Ref{Label: "production"}, version(number, "tutor", number, fmt.Sprint(number)))
		}
		for i := range 2 { // removing what is not there is no error, and no change
			h, err := a.Label(ctx, a.tenant, a.kind, "tutor", "production", 0, at(20+i))
			if err != nil {
				a.Fatalf("Label to nothing = %v", err)
			}
			wantEqual(a.T, "Label", h, recipe.Head{Name: "tutor", Latest: 3, Created: at(1), Updated: at(20)})
		}
		a.versionMissing("tutor", recipe.Ref{Label: "production"})
		for _, number := range []int{4, -1, recipe.MaxVersion} {
			wantKind(a.T, "Label", a.label("tutor", "production", number), fault.NotFound)
		}
		a.wantHead(recipe.Head{Name: "tutor", Latest: 3, Created: at(1), Updated: at(20)})
	}},
	{"labels are limited, and a version over the limit is not stored", func(a *author) {
		all := manyLabels(recipe.MaxLabels + 1)
		full, over := all[:recipe.MaxLabels], all[recipe.MaxLabels]
		_, _, _, err := a.Add(a.Context(), a.tenant, a.kind, recipe.Version{Name: "none", Body: json.RawMessage(`1`), Created: at(1)}, all)
		wantKind(a.T, "Add", err, fault.Conflict)
		a.missing("none")

		a.add(1, "tutor", `1`, append(full, full...)...) // one label counts once
		want := recipe.Head{Name: "tutor", Latest: 1, Labels: map[string]int{}, Created: at(1), Updated: at(1)}
		for _, l := range full {
			want.Labels[l] = 1
		}
		for _, body := range []string{`1`, `2`} {
			_, _, _, err := a.Add(a.Context(), a.tenant, a.kind, recipe.Version{Name: "tutor", Body: json.RawMessage(body), Created: at(2)}, []string{full[0], over})
			wantKind(a.T, "Add", err, fault.Conflict)
		}
		wantKind(a.T, "Label", a.label("tutor", over, 1), fault.Conflict)
		a.wantHead(want)
		a.versionMissing("tutor", recipe.Ref{Number: 2}, recipe.Ref{Label: over})

		if _, h, _ := a.add(3, "tutor", `2`, full...); h.Labels[full[0]] != 2 { // moving needs no room
			a.Errorf("labels = %v, want all at 2", h.Labels)
		}
		if err := errors.Join(a.label("tutor", full[0], 1), a.label("tutor", full[0], 0), a.label("tutor", over, 1)); err != nil {
			a.Errorf("Label = %v, want room for one that takes another's place", err)
		}
	}},
	{"what was deleted is gone, and its numbers with it", func(a *author) {
		for i := 1; i <= 3; i++ {
			a.add(i, "tutor", fmt.Sprint(i), "production")
		}
		a.add(4, "tutors", `1`, "production")
		for round, next := range []int{4, 5} {
			a.delete("tutor")
			a.missing("tutor")
			v, h, added := a.add(10+round, "tutor", `3`)
			want := version(10+round, "tutor", next, `3`)
			if wantEqual(a.T, "Add after Delete", v, want); !added {
				a.Error("added = false after Delete, want true")
			}
			wantEqual(a.T, "Add's head", h, recipe.Head{Name: "tutor", Latest: next, Created: at(10 + round), Updated: at(10 + round)})
			a.wantVersion("tutor", recipe.Ref{}, want)
			for number := range next {
				a.versionMissing("tutor", recipe.Ref{Number: number, Label: "production"})
				if number > 0 {
					wantKind(a.T, "Label", a.label("tutor", "production", number), fault.NotFound)
				}
			}
			a.wantNumbers("tutor", 0, 10, next)
			a.wantNumbers("tutor", next, 10)
		}
		a.wantVersion("tutors", recipe.Ref{Label: "production"}, version(4, "tutors", 1, `1`))
	}},
	{"deletes many versions", func(a *author) {
		for i := range 60 {
			a.add(i, "tutor", fmt.Sprint(i))
		}
		a.delete("tutor")
		a.missing("tutor")
		for i := range 60 {
			a.versionMissing("tutor", recipe.Ref{Number: i + 1})
		}
		a.add(61, "tutor", `61`)
		a.wantNumbers("tutor", 0, 100, 61)
	}},
	{"kinds are apart", func(a *author) {
		chains := &author{a.T, a.Store, a.tenant, recipe.Chain}
		a.add(1, "tutor", `"template"`, "production")
		chains.missing("tutor")
		chains.add(2, "tutor", `"chain"`)
		chains.add(3, "tutor", `"chain 2"`)
		a.wantVersion("tutor", recipe.Ref{}, version(1, "tutor", 1, `"template"`))
		chains.delete("tutor")
		a.wantVersion("tutor", recipe.Ref{Label: "production"}, version(1, "tutor", 1, `"template"`))
		wantEqual(a.T, "List", a.names(10), []string{"tutor"})
	}},
	{"no tenant sees another's", func(a *author) {
		a.add(1, "tutor", `"secret"`, "production")
		a.add(2, "tutor", `"secret 2"`)
		for i, tenant := range neighbours(a.tenant) {
			o := a.as(tenant)
			o.missing("tutor")
			wantEqual(a.T, "List of "+tenant, o.names(10), nil)
			if v, _, _ := o.add(10+i, "tutor", `"theirs"`, "production"); v.Number != 1 {
				a.Errorf("number of %s = %d, want 1", tenant, v.Number)
			}
			o.wantVersion("tutor", recipe.Ref{Label: "production"}, version(10+i, "tutor", 1, `"theirs"`))
			if i%2 == 0 {
				o.delete("tutor")
			}
		}
		a.wantVersion("tutor", recipe.Ref{Number: 1}, version(1, "tutor", 1, `"secret"`))
		a.wantHead(recipe.Head{Name: "tutor", Latest: 2, Labels: map[string]int{"production": 1}, Created: at(1), Updated: at(2)})
		wantEqual(a.T, "List", a.names(10), []string{"tutor"})
		a.wantNumbers("tutor", 0, 10, 2, 1)
	}},
	{"tenant and name do not run into each other", func(a *author) {
		for _, sep := range []string{".", "-", "_"} {
			one, two := a.as(a.tenant+sep+"x"), a.as(a.tenant)
			one.add(1, "y", `1`, "production")
			two.missing("x" + sep + "y")
			two.missing("y")
			two.add(2, "x"+sep+"y", `2`, "production")
			one.wantVersion("y", recipe.Ref{Number: 1}, version(1, "y", 1, `1`))
			two.wantVersion("x"+sep+"y", recipe.Ref{Number: 1}, version(2, "x"+sep+"y", 1, `2`))
			wantEqual(a.T, "List", one.names(10), []string{"y"})
			two.delete("x" + sep + "y")
			one.wantVersion("y", recipe.Ref{Label: "production"}, version(1, "y", 1, `1`))
		}
		// The versions of one name are not those of another that begins like it.
		a.add(1, "t", `1`)
		a.add(2, "t1", `2`)
		a.add(3, "t.1", `3`)
		a.wantNumbers("t", 0, 10, 1)
		a.delete("t")
		a.wantVersion("t1", recipe.Ref{}, version(2, "t1", 1, `2`))
		a.wantVersion("t.1", recipe.Ref{Number: 1}, version(3, "t.1", 1, `3`))
	}},
	{"listings are in order, whole, page by page", func(a *author) {
		want := []string{"B", "a", "a-b", "a.b", "aB", "a_b", "ab", "ab1", "b", "c" + strings.Repeat("x", recipe.MaxName-1)}
		for i, name := range slices.Backward(want) {
			a.add(i, name, `1`, "l")
			a.add(i+1, name, `2`)
		}
		for _, name := range []string{"A", "a0", "a1", "a2", "aa", "zz"} {
			a.add(50, name, `1`)
			a.delete(name)
		}
		for _, page := range []int{1, 3, len(want), 100} {
			wantEqual(a.T, fmt.Sprintf("pages of %d", page), a.names(page), want)
		}
		for after, next := range map[string]string{"": "B", "A": "B", "B": "a", "a": "a-b", "a!": "a-b", "aC": "a_b", "ab": "ab1", "b": want[9], "d": ""} {
			page, err := a.List(a.Context(), a.tenant, a.kind, after, 1)
			switch {
			case err != nil:
				a.Errorf("List(after %q) = %v", after, err)
			case next == "" && len(page) > 0:
				a.Errorf("List(after %q) = %+v, want nothing", after, page)
			case next != "":
				i := slices.Index(want, next)
				wantEqual(a.T, "List", page, []recipe.Head{{Name: next, Latest: 2, Labels: map[string]int{"l": 1}, Created: at(i), Updated: at(i + 1)}})
			}
		}
	}},
	{"versions are listed newest first, page by page", func(a *author) {
		for i := 1; i <= 12; i++ {
			a.add(i, "tutor", fmt.Sprint(i))
		}
		a.wantNumbers("tutor", 0, 5, 12, 11, 10, 9, 8)
		a.wantNumbers("tutor", 8, 5, 7, 6, 5, 4, 3)
		a.wantNumbers("tutor", 3, 5, 2, 1)
		a.wantNumbers("tutor", 1, 5)
		a.wantNumbers("tutor", 13, 2, 12, 11)
		a.wantNumbers("tutor", recipe.MaxVersion, 1, 12)
		page, err := a.Versions(a.Context(), a.tenant, a.kind, "tutor", 11, 1)
		if err != nil {
			a.Fatalf("Versions = %v", err)
		}
		wantEqual(a.T, "Versions", page, []recipe.Version{version(10, "tutor", 10, `10`)})
	}},
	{"a page of large versions is whole", func(a *author) {
		for i := 1; i <= 8; i++ { // 1.6 MB
			a.add(i, "tutor", fmt.Sprintf(`"%d%s"`, i, strings.Repeat("x", 200<<10)))
		}
		a.wantNumbers("tutor", 0, 8, 8, 7, 6, 5, 4, 3, 2, 1)
		a.wantNumbers("tutor", 8, 3, 7, 6, 5)
	}},
	{"what was never there is not found", func(a *author) {
		a.missing("tutor")
		a.add(1, "tutor", `1`)
		a.missing("tuto")
		a.missing("tutor1")
		a.missing("Tutor")
	}},
}

// neighbours are tenants that a careless key could take for the given one.
func neighbours(tenant string) []string {
	return []string{tenant + "x", tenant[:len(tenant)-1], strings.ToUpper(tenant), tenant + ".template", tenant + "@example.org", tenant + "_1",
		tenant + "-tutor", tenant + "#tutor", tenant + "#", "#" + tenant, tenant + "/tutor"}
}
