package api

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/template"
)

// templateVersion is one version with its content.
type templateVersion struct {
	ID      string         `json:"id"`
	Object  string         `json:"object"`
	Version int            `json:"version"`
	Latest  int            `json:"latest_version"`
	Labels  map[string]int `json:"labels"`
	Created stamp          `json:"created_at"` // of this version
	Author  string         `json:"created_by"` // the id of the key
	*template.Template
	Warnings []string `json:"warnings"`
}

// Templates serves everything under /ai/templates. Templates belong to the
// key's user.
func (s *Server) Templates() http.Handler {
	own := s.own("templates")
	r := recipes{s, recipe.Template}
	return s.paths(map[string]methods{
		"/ai/templates":                       {"GET": takes(own(r.list), "limit", "after"), "POST": takesLists(own(s.putTemplate), "labels")},
		"/ai/templates/{name}":                {"GET": takes(own(s.getTemplate), "version"), "DELETE": own(r.remove)},
		"/ai/templates/{name}/versions":       {"GET": takes(own(r.versions), "limit", "after")},
		"/ai/templates/{name}/export":         {"GET": takes(own(s.exportTemplate), "version")},
		"/ai/templates/{name}/render":         {"POST": own(s.renderTemplate)},
		"/ai/templates/{name}/usage":          {"GET": takes(own(s.templateUsage), "from", "to")},
		"/ai/templates/{name}/labels/{label}": {"POST": own(r.label), "DELETE": own(r.unlabel)},
	})
}

// templateName is the name in the path. What cannot be a name is not there.
func templateName(v *visit) (string, error) { return recipes{kind: recipe.Template}.name(v) }

func (s *Server) putTemplate(ctx context.Context, v *visit, c *gateway.Call) error {
	t, labels, err := readTemplate(v)
	if err != nil {
		return err
	}
	if !recipe.ValidName(t.Name) {
		return fault.Field("name", "'name' must be 1 to %d letters, digits, '.', '_' or '-', and begin with a letter.", recipe.MaxName)
	}
	text := t.JSON()
	if len(text) > recipe.MaxBody {
		return templateTooLarge(len(text))
	}
	at := time.Now().UTC().Truncate(time.Millisecond)
	version, head, added, err := s.Recipes.Add(ctx, c.User, recipe.Template, recipe.Version{Name: t.Name, Body: text, Created: at, Author: c.Record.Key}, labels)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if added {
		status = http.StatusCreated
	}
	return v.json(status, struct {
		templateVersion
		Changed bool `json:"changed"`
	}{showTemplate(version, head, t), added})
}

// readTemplate reads a new version, as JSON or as a file, and the labels that
// shall point to it.
func readTemplate(v *visit) (*template.Template, []string, error) {
	body, err := v.body()
	if err != nil {
		return nil, nil, err
	}
	if len(body) > recipe.MaxBody {
		return nil, nil, templateTooLarge(len(body))
	}
	switch typ, _, _ := mime.ParseMediaType(v.r.Header.Get("Content-Type")); typ {
	case "text/markdown", "text/x-markdown", "application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml":
		t, err := template.Import(body)
		if err != nil {
			return nil, nil, err
		}
		var labels []string
		for _, list := range v.r.URL.Query()["labels"] {
			for l := range strings.SplitSeq(list, ",") {
				if l = strings.TrimSpace(l); l != "" {
					labels = append(labels, l)
				}
			}
		}
		return t, labels, checkLabels(labels)
	}
	if v.r.URL.Query().Has("labels") {
		return nil, nil, fault.Field("labels", "'labels' is a member of the template's JSON; as a query parameter it goes with a file.")
	}
	fields, err := llm.ReadObject("", body)
	if err != nil {
		return nil, nil, err
	}
	labels, err := readLabels(rawjson.Get(fields, "labels"))
	if err != nil {
		return nil, nil, err
	}
	t, err := template.Parse(rawjson.Apply(nil, body, fields, rawjson.Edit{Name: "labels"}), "labels")
	return t, labels, err
}

func templateTooLarge(size int) error {
	return &fault.Error{Kind: fault.TooLarge, Message: fmt.Sprintf("The template has %d bytes; the limit is %d.", size, recipe.MaxBody)}
}

func readLabels(array []byte) (labels []string, err error) {
	if rawjson.IsNull(array) {
		return nil, nil
	}
	if rawjson.Kind(array) != "array" {
		return nil, fault.WrongType("labels", rawjson.Kind(array), "array")
	}
	err = rawjson.Elements(array, func(i int, value []byte) error {
		l, ok := rawjson.String(value)
		if !ok {
			return fault.WrongType(fmt.Sprintf("labels[%d]", i), rawjson.Kind(value), "string")
		}
		labels = append(labels, l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return labels, checkLabels(labels)
}

func checkLabels(labels []string) error {
	if len(labels) > recipe.MaxLabels {
		return fault.Field("labels", "'labels' takes at most %d labels.", recipe.MaxLabels)
	}
	for i, l := range labels {
		if !recipe.ValidLabel(l) {
			return wrongLabel(fmt.Sprintf("labels[%d]", i))
		}
	}
	return nil
}

func wrongLabel(param string) error {
	return fault.Field(param, "'%s' must be 1 to %d letters, digits, '.', '_' or '-', begin with a letter, and not be 'latest'.", param, recipe.MaxName)
}

// askedTemplate finds the version that the path and ?version= name.
func (s *Server) askedTemplate(ctx context.Context, v *visit, c *gateway.Call) (recipe.Version, *template.Template, error) {
	version, err := recipes{s, recipe.Template}.asked(ctx, v, c)
	if err != nil {
		return version, nil, err
	}
	t, err := storedTemplate(version)
	return version, t, err
}

func (s *Server) findTemplate(ctx context.Context, c *gateway.Call, name string, ref recipe.Ref) (recipe.Version, *template.Template, error) {
	version, err := s.Recipes.Version(ctx, c.User, recipe.Template, name, ref)
	if err != nil {
		return version, nil, err
	}
	t, err := storedTemplate(version)
	return version, t, err
}

// storedTemplate reads what was checked when it was stored, perhaps by other
// rules.
func storedTemplate(v recipe.Version) (*template.Template, error) {
	t, err := template.Parse(v.Body)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "The stored template cannot be read.")
	}
	return t, nil
}

func (s *Server) getTemplate(ctx context.Context, v *visit, c *gateway.Call) error {
	version, t, err := s.askedTemplate(ctx, v, c)
	if err != nil {
		return err
	}
	head, err := s.Recipes.Head(ctx, c.User, recipe.Template, version.Name)
	if err != nil {
		return err
	}
	return v.json(http.StatusOK, showTemplate(version, head, t))
}

func (s *Server) exportTemplate(ctx context.Context, v *visit, c *gateway.Call) error {
	version, t, err := s.askedTemplate(ctx, v, c)
	if err != nil {
		return err
	}
	h := v.Header()
	h.Set("Content-Type", "text/markdown; charset=utf-8")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-%d.md"`, version.Name, version.Number))
	text := t.File()
	h.Set("Content-Length", strconv.Itoa(len(text)))
	_, err = v.Write(text)
	return err
}

func showTemplate(v recipe.Version, h recipe.Head, t *template.Template) templateVersion {
	return templateVersion{ID: v.Name, Object: "template", Version: v.Number, Latest: h.Latest, Labels: showLabels(h), Created: stamp{v.Created}, Author: v.Author,
		Template: t, Warnings: append([]string{}, t.Warnings()...)}
}

// showLabels shows none as an empty object.
func showLabels(h recipe.Head) map[string]int {
	if h.Labels == nil {
		return map[string]int{}
	}
	return h.Labels
}
