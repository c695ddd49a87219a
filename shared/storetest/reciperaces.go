package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/recipe"
)

var recipeRaces = []recipeCase{
	{"versions added at once have numbers of their own, without a gap", func(a *author) {
		const n = 32
		var got [n]recipe.Version
		for _, err := range parallel(a.Context(), n, func(ctx context.Context, i int) (err error) {
			v := recipe.Version{Name: "tutor", Body: json.RawMessage(fmt.Sprintf(`{"by":%d}`, i)), Created: at(i), Author: fmt.Sprint("key-", i)}
			var added bool
			if got[i], _, added, err = a.Add(ctx, a.tenant, a.kind, v, []string{"newest"}); err == nil && !added {
				err = errors.New("not added")
			}
			return err
		}) {
			if err != nil {
				a.Fatalf("Add = %v", err)
			}
		}
		numbers := map[int]bool{}
		for i, v := range got {
			numbers[v.Number] = true
			a.wantVersion("tutor", recipe.Ref{Number: v.Number}, version(i, "tutor", v.Number, fmt.Sprintf(`{"by":%d}`, i)))
		}
		for number := 1; number <= n; number++ {
			if !numbers[number] {
				a.Errorf("nobody got the number %d", number)
			}
		}
		h, err := a.Head(a.Context(), a.tenant, a.kind, "tutor")
		if err != nil || h.Latest != n || h.Labels["newest"] != n {
			a.Errorf("Head = %+v, %v, want %d as the latest and labelled", h, err, n)
		}
	}},
	{"the same bytes added at once are one version", func(a *author) {
		const n = 16
		var added [n]bool
		for _, err := range parallel(a.Context(), n, func(ctx context.Context, i int) error {
			v, _, is, err := a.Add(ctx, a.tenant, a.kind, recipe.Version{Name: "tutor", Body: json.RawMessage(`1`), Created: at(i)}, []string{fmt.Sprint("label-", i)})
			if added[i] = is; err == nil && v.Number != 1 {
				err = fmt.Errorf("number %d", v.Number)
			}
			return err
		}) {
			if err != nil {
				a.Errorf("Add = %v", err)
			}
		}
		winners := 0
		for _, is := range added {
			if is {
				winners++
			}
		}
		h, err := a.Head(a.Context(), a.tenant, a.kind, "tutor")
		if winners != 1 || err != nil || h.Latest != 1 || len(h.Labels) != n {
			a.Errorf("%d added it, head = %+v, %v, want 1 and all %d labels", winners, h, err, n)
		}
	}},
	{"labels set at once are all set, up to the limit", func(a *author) {
		a.add(1, "tutor", `1`)
		set := 0
		for _, err := range parallel(a.Context(), recipe.MaxLabels+4, func(ctx context.Context, i int) error {
			_, err := a.Label(ctx, a.tenant, a.kind, "tutor", fmt.Sprint("label-", i), 1, at(2))
			return err
		}) {
			if err == nil {
				set++
			} else {
				wantKind(a.T, "Label", err, fault.Conflict)
			}
		}
		h, err := a.Head(a.Context(), a.tenant, a.kind, "tutor")
		if set != recipe.MaxLabels || err != nil || len(h.Labels) != set {
			a.Errorf("%d labels are set, %d are there, %v, want %d", set, len(h.Labels), err, recipe.MaxLabels)
		}
	}},
	{"adding and deleting at once leaves whole recipes, and no number twice", func(a *author) {
		const n = 18
		var got [n]recipe.Version
		for _, err := range parallel(a.Context(), n, func(ctx context.Context, i int) (err error) {
			if i%6 == 5 {
				if err = a.Delete(ctx, a.tenant, a.kind, "tutor"); errors.Is(err, fault.NotFound) {
					return nil
				}
				return err
			}
			got[i], _, _, err = a.Add(ctx, a.tenant, a.kind, recipe.Version{Name: "tutor", Body: json.RawMessage(fmt.Sprint(i)), Created: at(i)}, []string{"newest"})
			return err
		}) {
			if err != nil {
				a.Errorf("Add, Delete = %v", err)
			}
		}
		bodies := map[int]string{}
		for _, v := range got {
			if _, twice := bodies[v.Number]; twice && v.Number > 0 {
				a.Errorf("number %d was given twice", v.Number)
			}
			bodies[v.Number] = string(v.Body)
		}
		var listed []recipe.Version
		h, err := a.Head(a.Context(), a.tenant, a.kind, "tutor")
		if err == nil {
			if listed, err = a.Versions(a.Context(), a.tenant, a.kind, "tutor", 0, n); err != nil || len(listed) == 0 || listed[0].Number != h.Latest || h.Labels["newest"] != h.Latest {
				a.Errorf("head = %+v, versions = %+v, %v", h, listed, err)
			}
		} else if !errors.Is(err, fault.NotFound) {
			a.Fatalf("Head = %v", err)
		}
		for number := 1; number < n; number++ {
			i := slices.IndexFunc(listed, func(v recipe.Version) bool { return v.Number == number })
			if i < 0 {
				a.versionMissing("tutor", recipe.Ref{Number: number})
				continue
			}
			if !bytes.Equal(listed[i].Body, []byte(bodies[number])) {
				a.Errorf("version %d is %s, want %s", number, listed[i].Body, bodies[number])
			}
			a.wantVersion("tutor", recipe.Ref{Number: number}, listed[i])
		}
	}},
}
