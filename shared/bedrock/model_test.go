package bedrock

import "testing"

func TestParseModel(t *testing.T) {
	for _, tc := range []struct {
		id, vendor, name, thinks       string
		constrained, caches, knowsTopK bool
	}{
		{"anthropic.claude-3-5-sonnet-20241022-v2:0", "anthropic", "claude-3-5-sonnet-20241022-v2:0", "", false, true, true},
		{"us.anthropic.claude-3-7-sonnet-20250219-v1:0", "anthropic", "claude-3-7-sonnet-20250219-v1:0", "budget", false, true, true},
		{"apac.anthropic.claude-sonnet-4-20250514-v1:0", "anthropic", "claude-sonnet-4-20250514-v1:0", "budget", false, true, true},
		{"us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic", "claude-sonnet-4-5-20250929-v1:0", "budget", true, true, true},
		{"global.anthropic.claude-opus-4-6-v1", "anthropic", "claude-opus-4-6-v1", "adaptive", true, true, true},
		{"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-5", "anthropic", "claude-sonnet-5", "adaptive", true, true, true},
		{"arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-pro-v1:0", "amazon", "nova-pro-v1:0", "", false, true, true},
		{"arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", "", "abc", "", true, true, false},
		{"meta.llama3-3-70b-instruct-v1:0", "meta", "llama3-3-70b-instruct-v1:0", "", false, false, false},
		{"deepseek.v3.1", "deepseek", "v3.1", "", true, false, false},
		{"newco.model-1.5", "other", "newco.model-1.5", "", true, false, false},
	} {
		m := parseModel(tc.id)
		if m.vendor != tc.vendor || m.name != tc.name {
			t.Errorf("parseModel(%q) = %+v, want %q, %q", tc.id, m, tc.vendor, tc.name)
		}
		if m.thinks() != tc.thinks || m.constrained() != tc.constrained || m.caches() != tc.caches || (m.topK() != nil) != tc.knowsTopK {
			t.Errorf("%s: thinks %q, constrained %t, caches %t, top_k at %v", tc.id, m.thinks(), m.constrained(), m.caches(), m.topK())
		}
	}
}
