package dynamo_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/dynamo"
	"github.com/devmentor/ai-gateway/shared/dynamotest"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/storetest"
)

func TestRecipesConform(t *testing.T) {
	state, ledger := newTables(t)
	storetest.RunRecipes(t, func(t *testing.T) recipe.Store {
		return open(dynamotest.Client(t), state, ledger).Recipes()
	})
}

// numbered is a version with a body of its own.
func numbered(n int) recipe.Version {
	return recipe.Version{Name: "tutor", Body: json.RawMessage(fmt.Sprint(n)), Created: time.Unix(int64(n), 0).UTC(), Author: "key"}
}

func addVersion(t *testing.T, s *dynamo.Store, tenant string, n int) {
	t.Helper()
	if _, _, _, err := s.Recipes().Add(t.Context(), tenant, recipe.Template, numbered(n), nil); err != nil {
		t.Fatalf("Add = %v", err)
	}
}

func versions(t *testing.T, s *dynamo.Store, tenant string) (numbers []int) {
	t.Helper()
	page, err := s.Recipes().Versions(t.Context(), tenant, recipe.Template, "tutor", 0, 100)
	if err != nil && !errors.Is(err, fault.NotFound) {
		t.Fatalf("Versions = %v", err)
	}
	for _, v := range page {
		numbers = append(numbers, v.Number)
	}
	return numbers
}

func TestEachTroubleLeavesOneVersionOfARecipe(t *testing.T) {
	b := newBench(t)
	for i, tr := range append([]trouble{canceled}, troubles...) {
		t.Run(string(tr), func(t *testing.T) {
			r, tenant := b.store.Recipes(), fmt.Sprint("tenant-", i)
			var want []int
			for n, op := range []string{"TransactWriteItems", "GetItem", "TransactWriteItems"} {
				if tr == canceled {
					op = "TransactWriteItems"
				}
				b.wire.next(op, tr, tr)
				v, h, added, err := r.Add(t.Context(), tenant, recipe.Template, numbered(n+1), []string{"production"})
				if err != nil || !added || v.Number != n+1 || h.Latest != n+1 || h.Labels["production"] != n+1 {
					t.Fatalf("Add with trouble at %s = %+v, %+v, %v, %v, want version %d, added and labelled", op, v, h, added, err, n+1)
				}
				want = append([]int{n + 1}, want...)
				if diff := cmp.Diff(want, versions(t, b.calm, tenant)); diff != "" {
					t.Errorf("versions (-want +got):\n%s", diff)
				}
			}
			if tr == canceled {
				return // which happens to transactions only
			}
			b.wire.next("PutItem", tr)
			if _, _, added, err := r.Add(t.Context(), tenant, recipe.Template, numbered(3), []string{"staging"}); err != nil || added {
				t.Errorf("Add of the latest = %v, %v, want a label only", added, err)
			}
			b.wire.next("PutItem", tr)
			if h, err := r.Label(t.Context(), tenant, recipe.Template, "tutor", "production", 1, time.Unix(9, 0)); err != nil || !cmp.Equal(h.Labels, map[string]int{"production": 1, "staging": 3}) {
				t.Errorf("Label = %+v, %v", h, err)
			}
			for _, op := range []string{"GetItem", "Query"} {
				b.wire.next(op, tr)
				if v, err := r.Version(t.Context(), tenant, recipe.Template, "tutor", recipe.Ref{Label: "staging"}); err != nil || v.Number != 3 {
					t.Errorf("Version = %+v, %v", v, err)
				}
				if heads, err := r.List(t.Context(), tenant, recipe.Template, "", 10); err != nil || len(heads) != 1 {
					t.Errorf("List = %+v, %v", heads, err)
				}
			}
		})
	}
}

func TestEachTroubleLeavesNothingOfADeletedRecipe(t *testing.T) {
	b := newBench(t)
	for i, tr := range append([]trouble{canceled, unprocessed}, troubles...) {
		t.Run(string(tr), func(t *testing.T) {
			tenant := fmt.Sprint("tenant-", i)
			for n := range 3 {
				addVersion(t, b.calm, tenant, n)
			}
			switch tr { // DynamoDB does these to one operation only
			case canceled:
				b.wire.once(tr, "TransactWriteItems")
			case unprocessed:
				b.wire.once(tr, "BatchWriteItem")
			default:
				b.wire.once(tr, "GetItem", "PutItem", "Query", "BatchWriteItem", "TransactWriteItems")
			}
			if err := b.store.Recipes().Delete(t.Context(), tenant, recipe.Template, "tutor"); err != nil {
				t.Fatalf("Delete = %v", err)
			}
			if err := b.store.Recipes().Delete(t.Context(), tenant, recipe.Template, "tutor"); !errors.Is(err, fault.NotFound) {
				t.Errorf("Delete again = %v, want not_found", err)
			}
			if got := versions(t, b.calm, tenant); got != nil {
				t.Errorf("versions = %v, want none", got)
			}
			for n := 1; n <= 3; n++ {
				if v, err := b.calm.Recipes().Version(t.Context(), tenant, recipe.Template, "tutor", recipe.Ref{Number: n}); !errors.Is(err, fault.NotFound) {
					t.Errorf("Version %d = %+v, %v, want not_found", n, v, err)
				}
			}
			addVersion(t, b.calm, tenant, 9)
			if got := versions(t, b.calm, tenant); !cmp.Equal(got, []int{4}) {
				t.Errorf("versions = %v, want 4", got)
			}
		})
	}
}

// A deletion that broke off leaves a recipe that is whole but for its old
// versions, and that can be deleted.
func TestRecipeDeletedInPart(t *testing.T) {
	b := newBench(t)
	for n := range 3 {
		addVersion(t, b.calm, "tenant", n)
	}
	r := b.calm.Recipes()
	if _, err := r.Label(t.Context(), "tenant", recipe.Template, "tutor", "old", 1, time.Unix(9, 0)); err != nil {
		t.Fatalf("Label = %v", err)
	}
	for _, op := range []string{"BatchWriteItem", "TransactWriteItems"} {
		b.wire.set(func(got string) trouble {
			if got == op {
				return broken
			}
			return fine
		})
		if err := b.store.Recipes().Delete(t.Context(), "tenant", recipe.Template, "tutor"); !errors.Is(err, fault.Unavailable) {
			t.Fatalf("Delete with %s down = %v, want unavailable", op, err)
		}
		for n := 1; n <= 2; n++ {
			if _, err := r.Label(t.Context(), "tenant", recipe.Template, "tutor", "new", n, time.Unix(9, 0)); !errors.Is(err, fault.NotFound) {
				t.Errorf("Label to version %d = %v, want not_found", n, err)
			}
		}
		if _, err := r.Version(t.Context(), "tenant", recipe.Template, "tutor", recipe.Ref{Label: "old"}); !errors.Is(err, fault.NotFound) {
			t.Errorf("Version by the label of a deleted one = %v, want not_found", err)
		}
		// The latest is there, so that adding it again is truthfully no change.
		v, _, added, err := r.Add(t.Context(), "tenant", recipe.Template, numbered(2), []string{"new"})
		if err != nil || added || v.Number != 3 {
			t.Errorf("Add = %+v, %v, %v, want version 3", v, added, err)
		}
		if v, err := r.Version(t.Context(), "tenant", recipe.Template, "tutor", recipe.Ref{Label: "new"}); err != nil || string(v.Body) != "2" {
			t.Errorf("Version = %+v, %v", v, err)
		}
	}
	if err := r.Delete(t.Context(), "tenant", recipe.Template, "tutor"); err != nil {
		t.Fatalf("Delete = %v", err)
	}
	if got := versions(t, b.calm, "tenant"); got != nil {
		t.Errorf("versions = %v, want none", got)
	}
}

func TestVersionThatIsDeletedWhileItIsAddedAgain(t *testing.T) {
	b := newBench(t)
	addVersion(t, b.calm, "tenant", 1)
	reads := 0
	b.wire.set(func(op string) trouble {
		if op == "GetItem" {
			if reads++; reads == 2 { // the head is read, the version is not
				if err := b.calm.Recipes().Delete(t.Context(), "tenant", recipe.Template, "tutor"); err != nil {
					t.Errorf("Delete = %v", err)
				}
			}
		}
		return fine
	})
	v, h, added, err := b.store.Recipes().Add(t.Context(), "tenant", recipe.Template, numbered(1), []string{"production"})
	if err != nil || !added || v.Number != 2 || h.Labels["production"] != 2 {
		t.Errorf("Add = %+v, %+v, %v, %v, want version 2", v, h, added, err)
	}
	if got := versions(t, b.calm, "tenant"); !cmp.Equal(got, []int{2}) {
		t.Errorf("versions = %v, want 2", got)
	}
}

// What cannot be written for long is an error, and nothing half stored.
func TestVersionThatCannotBeStored(t *testing.T) {
	b := newBench(t)
	b.store.Wait(time.Second, 300*time.Millisecond)
	for _, tr := range []trouble{broken, canceled, throttled} {
		b.wire.set(func(op string) trouble {
			if op == "TransactWriteItems" {
				return tr
			}
			return fine
		})
		_, _, _, err := b.store.Recipes().Add(t.Context(), "tenant", recipe.Template, numbered(1), []string{"production"})
		if f := fault.As(err); f.Kind != fault.Unavailable || f.RetryAfter <= 0 {
			t.Errorf("%s: Add = %v, want unavailable", tr, err)
		}
		if _, err := b.calm.Recipes().Head(t.Context(), "tenant", recipe.Template, "tutor"); !errors.Is(err, fault.NotFound) {
			t.Errorf("%s: Head = %v, want not_found", tr, err)
		}
		if _, err := b.calm.Recipes().Version(t.Context(), "tenant", recipe.Template, "tutor", recipe.Ref{Number: 1}); !errors.Is(err, fault.NotFound) {
			t.Errorf("%s: Version = %v, want not_found", tr, err)
		}
	}
}
