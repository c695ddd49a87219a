package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/catalog"
)

func TestTheCatalogueIsAsTheGeneratorWritesIt(t *testing.T) {
	file, err := os.ReadFile("../models.json")
	if err != nil {
		t.Fatal(err)
	}
	var head struct {
		Meta meta `json:"_meta"`
	}
	if err := json.Unmarshal(file, &head); err != nil {
		t.Fatal(err)
	}
	if head.Meta.Unit != unit || head.Meta.Changes != changes || !strings.Contains(head.Meta.Source, "MIT") {
		t.Errorf("_meta = %+v, want this unit, these changes, and the source with its licence", head.Meta)
	}
	models := map[string]catalog.Model{}
	for m := range catalog.All() {
		models[m.Name()] = m
	}
	again, err := render(head.Meta, models)
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(file) {
		t.Error("models.json differs from what the generator makes of its fields: run go generate, do not edit it")
	}
}

func TestConvert(t *testing.T) {
	got, err := convert([]byte(`{"_meta":{"source":"a list","obtained_via":"a copy","key_note":"not ours"},"models":{
		"m-1":{"provider":"openai","mode":"chat","input_cost_per_token":1.5e-7,"output_cost_per_token":6.75e-9,
			"input_cost_per_token_above_272k_tokens":3e-7,"output_cost_per_token_above_272k_tokens":1e-6,"capabilities":["vision","tools"]},
		"gemini/g":{"provider":"gemini","mode":"chat","input_cost_per_token":1e-6,"output_cost_per_token":2e-6},
		"g":{"provider":"gemini","mode":"chat","input_cost_per_token":1e-6,"output_cost_per_token":3e-6,"max_input_tokens":9},
		"gemini/gemini-1.5-flash":{"provider":"gemini","mode":"embedding"},
		"claude-x":{"provider":"anthropic","mode":"chat","input_cost_per_token":1e-6,"output_cost_per_token":1,"cache_creation_input_token_cost_above_1hr":6e-6,
			"max_output_tokens":7,"deprecation_date":"2030-01-01"},
		"e":{"provider":"bedrock","mode":"embedding","input_cost_per_token":1e-15,"output_vector_size":3}
	}}`))
	want := `{
"_meta":{"source":"a list","obtained_via":"a copy","unit":"` + unit + `","changes":"` + changes + `"},
"models":{
"anthropic/claude-x":{"mode":"chat","price":{"input":1000000000,"cache_write_1h":2000000000,"output":1000000000000000},"max_output":7,"deprecated":"2030-01-01"},
"bedrock/e":{"mode":"embedding","price":{"input":1},"vector_size":3},
"gemini/g":{"mode":"chat","price":{"input":1000000000,"output":3000000000},"context_window":9,"max_input":9},
"openai/m-1":{"mode":"chat","price":{"input":150000000,"output":6750000,"above":272000,"input_above":300000000,"output_above":1000000000},"capabilities":["tools","vision"]}
}}
`
	if err != nil || string(got) != want {
		t.Errorf("convert = %v,\n%s\nwant\n%s", err, got, want)
	}
}

// TestWindowsAreTheRequests: the source says max_input_tokens of all of them.
func TestWindowsAreTheRequests(t *testing.T) {
	for _, tc := range []struct{ name, model, want string }{
		{"GPT-4o shares one window", `"gpt-4o":{"provider":"openai","mode":"chat","max_input_tokens":128000,"max_output_tokens":16384}`, `"context_window":128000,"max_output":16384}`},
		{"GPT-5 has its input listed", `"gpt-5":{"provider":"openai","mode":"chat","max_input_tokens":272000,"max_output_tokens":128000}`, `"context_window":400000,"max_input":272000,"max_output":128000}`},
		{"Gemini has two limits", `"gemini/g":{"provider":"gemini","mode":"chat","max_input_tokens":1048576,"max_output_tokens":65536}`, `"context_window":1048576,"max_input":1048576,"max_output":65536}`},
		{"Claude needs a header", `"claude-s":{"provider":"anthropic","mode":"chat","input_cost_per_token_above_200k_tokens":1e-6,"max_input_tokens":1000000,"max_output_tokens":64000}`, `"context_window":200000,"max_output":64000}`},
		{"on Bedrock, too", `"us.anthropic.claude-s":{"provider":"bedrock","mode":"chat","output_cost_per_token_above_200k_tokens":1e-6,"max_input_tokens":1000000,"max_output_tokens":64000}`, `"context_window":200000,"max_output":64000}`},
		{"newer ones do not", `"claude-t":{"provider":"anthropic","mode":"chat","max_input_tokens":1000000,"max_output_tokens":64000}`, `"context_window":1000000,"max_output":64000}`},
		{"embeddings write nothing", `"gemini/e":{"provider":"gemini","mode":"embedding","max_input_tokens":2048}`, `"context_window":2048}`},
	} {
		out, err := convert([]byte(`{"_meta":{},"models":{` + tc.model + `}}`))
		if err != nil || !strings.Contains(string(out), tc.want) {
			t.Errorf("%s: convert = %s, %v, want %s", tc.name, out, err, tc.want)
		}
	}
}

func TestConvertRefuses(t *testing.T) {
	tests := []struct{ name, model, want string }{
		{"a fraction of the unit", `"m":{"provider":"openai","input_cost_per_token":1.5e-15}`, "whole number"},
		{"a negative price", `"m":{"provider":"openai","input_cost_per_token":-1e-6}`, "whole number"},
		{"a price beyond int64", `"m":{"provider":"openai","input_cost_per_token":1e6}`, "whole number"},
		{"a field that it does not know", `"m":{"provider":"openai","input_cost_per_token_above_128k_tokens":1}`, "unknown field"},
		{"two tiers", `"m":{"provider":"openai","input_cost_per_token_above_200k_tokens":1e-6,"input_cost_per_token_above_272k_tokens":1e-6}`, "two tiers"},
		{"a name with a quote", `"m\"":{"provider":"openai"}`, "searched"},
		{"no provider", `"m":{}`, "searched"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := convert([]byte(`{"_meta":{},"models":{` + tt.model + `}}`))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("convert = %s, %v, want an error with %q", out, err, tt.want)
			}
		})
	}
}
