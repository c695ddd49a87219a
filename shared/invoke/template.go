package invoke

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Template is what a SAM template says about its API.
type Template struct {
	Functions []TemplateFunction // those with routes, in order of their names
	Responses map[string]GatewayResponse
}

// TemplateFunction is a function of a template. Its Name is the logical id
// without the ending "Function", in small letters: the folder of its source.
type TemplateFunction struct {
	Name   string
	Routes []Route // without a Function
}

// ReadTemplate reads the Api events of a SAM template's functions and the
// gateway responses of its REST API.
func ReadTemplate(text []byte) (*Template, error) {
	var doc struct {
		Resources map[string]struct {
			Type       string `yaml:"Type"`
			Properties struct {
				Events map[string]struct {
					Type       string `yaml:"Type"`
					Properties struct {
						Path   string `yaml:"Path"`
						Method string `yaml:"Method"`
						Mode   string `yaml:"ResponseTransferMode"`
					} `yaml:"Properties"`
				} `yaml:"Events"`
				GatewayResponses map[string]struct {
					StatusCode int `yaml:"StatusCode"`
					Parameters struct {
						Headers map[string]string `yaml:"Headers"`
					} `yaml:"ResponseParameters"`
					Templates map[string]string `yaml:"ResponseTemplates"`
				} `yaml:"GatewayResponses"`
			} `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("invoke: template: %w", err)
	}
	t := &Template{Responses: map[string]GatewayResponse{}}
	for _, id := range slices.Sorted(maps.Keys(doc.Resources)) {
		p := doc.Resources[id].Properties
		fn := TemplateFunction{Name: strings.ToLower(strings.TrimSuffix(id, "Function"))}
		for _, name := range slices.Sorted(maps.Keys(p.Events)) {
			if ev := p.Events[name]; ev.Type == "Api" {
				fn.Routes = append(fn.Routes, Route{Method: strings.ToUpper(ev.Properties.Method), Resource: ev.Properties.Path, Stream: ev.Properties.Mode == "RESPONSE_STREAM"})
			}
		}
		if fn.Routes != nil {
			t.Functions = append(t.Functions, fn)
		}
		for typ, r := range p.GatewayResponses {
			gr := GatewayResponse{Status: r.StatusCode, Body: r.Templates["application/json"], Header: http.Header{}}
			for name, value := range r.Parameters.Headers {
				gr.Header.Set(name, strings.Trim(value, "'"))
			}
			t.Responses[typ] = gr
		}
	}
	if t.Functions == nil {
		return nil, fmt.Errorf("invoke: template: no function has an Api event")
	}
	return t, nil
}

// API returns the template's API with the functions that run returns.
func (t *Template) API(run func(name string) *Function) *API {
	a := &API{Responses: t.Responses}
	for _, fn := range t.Functions {
		f := run(fn.Name)
		for _, r := range fn.Routes {
			r.Function = f
			a.Routes = append(a.Routes, r)
		}
	}
	return a
}
