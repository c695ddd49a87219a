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

type templateVersionHead struct {
	Object  string    `json:"object"`
	Version int       `json:"version"`
	Labels  []string  `json:"labels"` // those that point to this version
	Created time.Time `json:"created_at"`
	Author  string    `json:"created_by"`
	Bytes   int       `json:"bytes"`
}

func (s *Server) listTemplateVersions(ctx context.Context, v *visit, c *gateway.Call) error {
	name, err := templateName(v)
	if err != nil {
		return err
	}
	limit, err := pageLimit(v)
	if err != nil {
		return err
	}
	before := 0
	if after := v.r.URL.Query().Get("after"); after != "" { // the last one of the page before
		if before, err = strconv.Atoi(after); err != nil || before < 1 || before > recipe.MaxVersion {
			return fault.Field("after", "'after' must be the number of a version.")
		}
	}
	head, err := s.Recipes.Head(ctx, c.User, recipe.Template, name)
	if err != nil {
		return err
	}
	list, err := s.Recipes.Versions(ctx, c.User, recipe.Template, name, before, limit+1)
	if err != nil {
		return err
	}
	data := []templateVersionHead{}
	for _, of := range list[:min(limit, len(list))] {
		data = append(data, templateVersionHead{Object: "template.version", Version: of.Number, Labels: labelsOf(head, of.Number),
			Created: of.Created, Author: of.Author, Bytes: len(of.Body)})
	}
	answer := map[string]any{"object": "list", "data": data, "has_more": len(list) > limit}
	if len(list) > limit {
		answer["next"] = strconv.Itoa(data[limit-1].Version)
	}
	return v.json(http.StatusOK, answer)
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

// templateLabel is name and label in the path.
func templateLabel(v *visit) (name, label string, err error) {
	if name, err = templateName(v); err != nil {
		return "", "", err
	}
	if label = v.r.PathValue("label"); !validLabel(label) {
		return "", "", wrongLabel("label")
	}
	return name, label, nil
}

// labelTemplate moves a label, forward to publish or back to undo that.
func (s *Server) labelTemplate(ctx context.Context, v *visit, c *gateway.Call) error {
	name, label, err := templateLabel(v)
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
		return &fault.Error{Kind: fault.Invalid, Param: "version", Code: "missing_required_parameter", Message: "Missing required parameter: 'version'."}
	}
	ref, err := readRef(b.Version)
	if err != nil {
		return err
	}
	number := ref.Number
	if number == 0 {
		version, err := s.Recipes.Version(ctx, c.User, recipe.Template, name, ref)
		if err != nil {
			return err
		}
		number = version.Number
	}
	head, err := s.Recipes.Label(ctx, c.User, recipe.Template, name, label, number, time.Now().UTC().Truncate(time.Millisecond))
	if err != nil {
		return err
	}
	return v.json(http.StatusOK, showHead(head))
}

// readRef reads a version in a body: a number, or a label or 'latest'.
func readRef(value []byte) (recipe.Ref, error) {
	if rawjson.IsNull(value) {
		return recipe.Ref{}, nil
	}
	if n, ok := rawjson.Int(value); ok && n >= 1 && n <= recipe.MaxVersion {
		return recipe.Ref{Number: int(n)}, nil
	}
	if text, ok := rawjson.String(value); ok && text != "" {
		if ref, ok := recipe.ParseRef(text); ok {
			return ref, nil
		}
	}
	return recipe.Ref{}, wrongVersion()
}

func (s *Server) unlabelTemplate(ctx context.Context, v *visit, c *gateway.Call) error {
	name, label, err := templateLabel(v)
	if err != nil {
		return err
	}
	head, err := s.Recipes.Head(ctx, c.User, recipe.Template, name)
	if err != nil {
		return err
	}
	if head.Labels[label] == 0 {
		return recipe.Missing(recipe.Template, name, recipe.Ref{Label: label})
	}
	if head, err = s.Recipes.Label(ctx, c.User, recipe.Template, name, label, 0, time.Now().UTC().Truncate(time.Millisecond)); err != nil {
		return err
	}
	return v.json(http.StatusOK, showHead(head))
}
