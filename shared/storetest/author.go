package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/recipe"
)

// author is a tenant at work on recipes of one kind.
type author struct {
	*testing.T
	recipe.Store
	tenant string
	kind   recipe.Kind
}

// as is the same store for another tenant, who knows nothing but their name.
func (a *author) as(tenant string) *author { return &author{a.T, a.Store, tenant, a.kind} }

// at is a moment that stores keep exactly: n seconds after some noon.
func at(n int) time.Time {
	return time.Date(2026, 11, 22, 12, 0, 0, 123_456_000, time.UTC).Add(time.Duration(n) * time.Second)
}

// add stores body as the n-th second's version, by key-n.
func (a *author) add(n int, name, body string, labels ...string) (recipe.Version, recipe.Head, bool) {
	a.Helper()
	v, h, added, err := a.Add(a.Context(), a.tenant, a.kind, recipe.Version{Name: name, Body: json.RawMessage(body), Created: at(n), Author: fmt.Sprint("key-", n)}, labels)
	if err != nil {
		a.Fatalf("Add(%s) = %v", name, err)
	}
	return v, h, added
}

// version is what add(n, …) stored as the given number.
func version(n int, name string, number int, body string) recipe.Version {
	return recipe.Version{Name: name, Number: number, Body: json.RawMessage(body), Created: at(n), Author: fmt.Sprint("key-", n)}
}

func (a *author) wantVersion(name string, ref recipe.Ref, want recipe.Version) {
	a.Helper()
	got, err := a.Version(a.Context(), a.tenant, a.kind, name, ref)
	if err != nil {
		a.Errorf("Version(%s@%s) = %v, want number %d", name, ref, err, want.Number)
		return
	}
	wantEqual(a.T, "Version("+name+"@"+ref.String()+")", got, want)
}

func (a *author) wantHead(want recipe.Head) {
	a.Helper()
	got, err := a.Head(a.Context(), a.tenant, a.kind, want.Name)
	if err != nil {
		a.Errorf("Head(%s) = %v", want.Name, err)
		return
	}
	wantEqual(a.T, "Head("+want.Name+")", got, want)
}

func (a *author) wantNumbers(name string, before, limit int, want ...int) {
	a.Helper()
	page, err := a.Versions(a.Context(), a.tenant, a.kind, name, before, limit)
	if err != nil {
		a.Errorf("Versions(%s) = %v", name, err)
		return
	}
	var got []int
	for _, v := range page {
		got = append(got, v.Number)
		if v.Name != name || len(v.Body) == 0 || v.Created.IsZero() {
			a.Errorf("Versions(%s) has %+v, want whole versions", name, v)
		}
	}
	if !slices.Equal(got, want) {
		a.Errorf("Versions(%s, before %d, limit %d) = %v, want %v", name, before, limit, got, want)
	}
}

// names lists all recipes, page by page.
func (a *author) names(page int) []string {
	a.Helper()
	list := func(after string) ([]recipe.Head, error) { return a.List(a.Context(), a.tenant, a.kind, after, page) }
	return everything(a.T, page, list, func(h recipe.Head) string { return h.Name })
}

// everything returns the ids of a listing, read page by page.
func everything[T any](t *testing.T, page int, list func(after string) ([]T, error), id func(T) string) (all []string) {
	t.Helper()
	for after := ""; ; {
		found, err := list(after)
		if err != nil || len(found) > page {
			t.Fatalf("List = %d entries, %v, want %d at most", len(found), err, page)
		}
		for _, e := range found {
			after = id(e)
			all = append(all, after)
		}
		if len(found) < page {
			return all
		}
	}
}

func (a *author) label(name, label string, number int) error {
	_, err := a.Label(a.Context(), a.tenant, a.kind, name, label, number, at(100))
	return err
}

func (a *author) delete(name string) {
	a.Helper()
	if err := a.Delete(a.Context(), a.tenant, a.kind, name); err != nil {
		a.Fatalf("Delete(%s) = %v", name, err)
	}
}

func (a *author) versionMissing(name string, refs ...recipe.Ref) {
	a.Helper()
	_, gone := a.Head(a.Context(), a.tenant, a.kind, name)
	for _, ref := range refs {
		what := ref
		if gone != nil {
			what = recipe.Ref{} // there is not even the recipe
		}
		a.noVersion(name, ref, recipe.Missing(a.kind, name, what))
	}
}

// noVersion checks that reading a version fails, in the words of want.
func (a *author) noVersion(name string, ref recipe.Ref, want error) {
	a.Helper()
	if v, err := a.Version(a.Context(), a.tenant, a.kind, name, ref); !errors.Is(err, fault.NotFound) || err.Error() != want.Error() {
		a.Errorf("Version(%s@%s) = %+v, %v, want not_found: %v", name, ref, v, err, want)
	}
}

// missing checks that nothing can be done with a recipe but to add it.
func (a *author) missing(name string) {
	a.Helper()
	ctx := a.Context()
	a.versionMissing(name, recipe.Ref{}, recipe.Ref{Number: 1}, recipe.Ref{Number: 2}, recipe.Ref{Label: "production"})
	_, err := a.Head(ctx, a.tenant, a.kind, name)
	wantKind(a.T, "Head", err, fault.NotFound)
	_, err = a.Versions(ctx, a.tenant, a.kind, name, 0, 10)
	wantKind(a.T, "Versions", err, fault.NotFound)
	_, err = a.Versions(ctx, a.tenant, a.kind, name, 2, 10)
	wantKind(a.T, "Versions", err, fault.NotFound)
	wantKind(a.T, "Label", a.label(name, "production", 1), fault.NotFound)
	wantKind(a.T, "Label to nothing", a.label(name, "production", 0), fault.NotFound)
	wantKind(a.T, "Delete", a.Delete(ctx, a.tenant, a.kind, name), fault.NotFound)
	if got := a.names(10); slices.Contains(got, name) {
		a.Errorf("List = %q, with what is not there", got)
	}
}

// manyLabels returns n labels.
func manyLabels(n int) []string {
	var labels []string
	for i := range n {
		labels = append(labels, fmt.Sprint("label-", i))
	}
	return labels
}
