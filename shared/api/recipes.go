package api

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/recipe"
)

// recipes serves what is the same for every kind of recipe.
type recipes struct {
	*Server
	kind recipe.Kind
}

// recipeHead is what is shown of a recipe without its content: the number of
// its latest version, and what each label points to.
type recipeHead struct {
	ID      string         `json:"id"`
	Object  string         `json:"object"`
	Latest  int            `json:"latest_version"`
	Labels  map[string]int `json:"labels"`
	Created stamp          `json:"created_at"` // of the first version
	Updated stamp          `json:"updated_at"`
}

type recipeVersion struct {
	Object  string   `json:"object"`
	Version int      `json:"version"`
	Labels  []string `json:"labels"` // those that point to this version
	Created stamp    `json:"created_at"`
	Author  string   `json:"created_by"`
	Bytes   int      `json:"bytes"`
}

func (r recipes) show(h recipe.Head) recipeHead {
	return recipeHead{ID: h.Name, Object: string(r.kind), Latest: h.Latest, Labels: showLabels(h), Created: stamp{h.Created}, Updated: stamp{h.Updated}}
}

// name is the name in the path. What cannot be a name is not there.
func (r recipes) name(v *visit) (string, error) {
	name := v.r.PathValue("name")
	if !recipe.ValidName(name) {
		return "", recipe.Missing(r.kind, name, recipe.Ref{})
	}
	return name, nil
}

// asked is the version that the path and ?version= name.
func (r recipes) asked(ctx context.Context, v *visit, c *gateway.Call) (recipe.Version, error) {
	name, err := r.name(v)
	if err != nil {
		return recipe.Version{}, err
	}
	ref, ok := recipe.ParseRef(v.r.URL.Query().Get("version"))
	if !ok {
		return recipe.Version{}, recipe.WrongRef("version")
	}
	return r.Recipes.Version(ctx, c.User, r.kind, name, ref)
}

func (r recipes) list(ctx context.Context, v *visit, c *gateway.Call) error {
	limit, err := pageLimit(v, pageSize, maxPage)
	if err != nil {
		return err
	}
	list, err := r.Recipes.List(ctx, c.User, r.kind, after(v), limit+1)
	if err != nil {
		return err
	}
	return v.list(page(list, limit, r.show, func(o recipeHead) string { return o.ID }))
}

func (r recipes) versions(ctx context.Context, v *visit, c *gateway.Call) error {
	name, err := r.name(v)
	if err != nil {
		return err
	}
	limit, err := pageLimit(v, pageSize, maxPage)
	if err != nil {
		return err
	}
	before := 0
	if last := after(v); last != "" {
		if before, err = strconv.Atoi(last); err != nil || before < 1 || before > recipe.MaxVersion {
			return fault.Field("after", "'after' must be the number of a version.")
		}
	}
	head, err := r.Recipes.Head(ctx, c.User, r.kind, name)
	if err != nil {
		return err
	}
	list, err := r.Recipes.Versions(ctx, c.User, r.kind, name, before, limit+1)
	if err != nil {
		return err
	}
	show := func(of recipe.Version) recipeVersion {
		return recipeVersion{Object: string(r.kind) + ".version", Version: of.Number, Labels: labelsOf(head, of.Number),
			Created: stamp{of.Created}, Author: of.Author, Bytes: len(of.Body)}
	}
	return v.list(page(list, limit, show, func(o recipeVersion) string { return strconv.Itoa(o.Version) }))
}

// labelled is name and label in the path.
func (r recipes) labelled(v *visit) (name, label string, err error) {
	if name, err = r.name(v); err != nil {
		return "", "", err
	}
	if label = v.r.PathValue("label"); !recipe.ValidLabel(label) {
		return "", "", wrongLabel("label")
	}
	return name, label, nil
}

// label moves a label, forward to publish or back to undo that.
func (r recipes) label(ctx context.Context, v *visit, c *gateway.Call) error {
	name, label, err := r.labelled(v)
	if err != nil {
		return err
	}
	var b struct {
		Version json.RawMessage `json:"version"`
	}
	if err := v.decode(&b); err != nil {
		return err
	}
	if rawjson.IsNull(b.Version) {
		return fault.Missing("version")
	}
	ref, err := recipe.ReadRef("version", b.Version)
	if err != nil {
		return err
	}
	number := ref.Number
	if number == 0 {
		version, err := r.Recipes.Version(ctx, c.User, r.kind, name, ref)
		if err != nil {
			return err
		}
		number = version.Number
	}
	head, err := r.Recipes.Label(ctx, c.User, r.kind, name, label, number, time.Now().UTC().Truncate(time.Millisecond))
	if err != nil {
		return err
	}
	return v.json(http.StatusOK, r.show(head))
}

func (r recipes) unlabel(ctx context.Context, v *visit, c *gateway.Call) error {
	name, label, err := r.labelled(v)
	if err != nil {
		return err
	}
	head, err := r.Recipes.Head(ctx, c.User, r.kind, name)
	if err != nil {
		return err
	}
	if head.Labels[label] == 0 {
		return fault.New(fault.NotFound, "The %s '%s' has no label '%s'.", r.kind, name, label)
	}
	if head, err = r.Recipes.Label(ctx, c.User, r.kind, name, label, 0, time.Now().UTC().Truncate(time.Millisecond)); err != nil {
		return err
	}
	return v.json(http.StatusOK, r.show(head))
}

func (r recipes) remove(ctx context.Context, v *visit, c *gateway.Call) error {
	name, err := r.name(v)
	if err != nil {
		return err
	}
	if err := r.Recipes.Delete(ctx, c.User, r.kind, name); err != nil {
		return err
	}
	return v.json(http.StatusOK, map[string]any{"id": name, "object": string(r.kind) + ".deleted", "deleted": true})
}

// labelsOf lists the labels that point to a version, in order.
func labelsOf(h recipe.Head, number int) []string {
	labels := []string{}
	for _, l := range slices.Sorted(maps.Keys(h.Labels)) {
		if h.Labels[l] == number {
			labels = append(labels, l)
		}
	}
	return labels
}
