package gateway_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/config"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestSettingsAreDocumented: every variable has a line in the table, with its
// default, and the table has no others.
func TestSettingsAreDocumented(t *testing.T) {
	doc := read(t, "docs/configuration.md")
	var known []string
	for _, v := range config.Variables() {
		known = append(known, v.Name)
		i := strings.Index(doc, "\n| `"+v.Name+"` |")
		if i < 0 {
			t.Errorf("docs/configuration.md lacks %s", v.Name)
			continue
		}
		line, _, _ := strings.Cut(doc[i+1:], "\n")
		if v.Default != "" && !strings.Contains(line, "`"+v.Default+"`") {
			t.Errorf("docs/configuration.md: the line of %s does not name its default, %s", v.Name, v.Default)
		}
		if v.Secret && !strings.Contains(line, "*Secret.*") {
			t.Errorf("docs/configuration.md: the line of %s does not say that it is secret", v.Name)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\|").FindAllStringSubmatch(doc, -1) {
		if !slices.Contains(known, m[1]) {
			t.Errorf("docs/configuration.md has %s, which no setting reads", m[1])
		}
	}
}

// TestRoutesAreDocumented: the table of docs/api.md is api.Routes.
func TestRoutesAreDocumented(t *testing.T) {
	doc := read(t, "docs/api.md")
	var known []string
	for _, r := range api.Routes() {
		path := strings.ReplaceAll(r.Path, "...", "")
		known = append(known, r.Method+" "+path)
		if !strings.Contains(doc, "| `"+r.Method+" "+path+"` | "+r.Function+" |") {
			t.Errorf("docs/api.md lacks a line for %s %s, served by %s", r.Method, path, r.Function)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z]+ /[^`]*)` \\|").FindAllStringSubmatch(doc, -1) {
		if !slices.Contains(known, m[1]) {
			t.Errorf("docs/api.md has %s, which is no route", m[1])
		}
	}
}

// TestProxiesWaitForAnswers: as long as a request may take. What they gave up
// earlier would be paid for all the same.
func TestProxiesWaitForAnswers(t *testing.T) {
	for path, settings := range map[string][]string{"infra/nginx.conf": {"proxy_read_timeout"}, "infra/haproxy.cfg": {"timeout server", "timeout client"}} {
		conf := read(t, path)
		for _, name := range settings {
			m := regexp.MustCompile(name + ` +(\d+s)`).FindStringSubmatch(conf)
			if m == nil {
				t.Errorf("%s: %s is not set in seconds", path, name)
			} else if d, err := time.ParseDuration(m[1]); err != nil || d <= admission.Lifetime {
				t.Errorf("%s: %s %s, want more than %s", path, name, m[1], admission.Lifetime)
			}
		}
	}
}

// TestLinksLead: relative links in the documents point at files.
func TestLinksLead(t *testing.T) {
	docs, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, doc := range append(docs, "README.md") {
		for _, m := range link.FindAllStringSubmatch(read(t, doc), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), m[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", doc, m[1])
			}
		}
	}
}

// TestMakeTargetsOfTheREADMEExist: commands that newcomers copy must work.
func TestMakeTargetsOfTheREADMEExist(t *testing.T) {
	makefile := read(t, "Makefile")
	for _, m := range regexp.MustCompile(`make ([a-z]+)`).FindAllStringSubmatch(read(t, "README.md"), -1) {
		if !strings.Contains(makefile, "\n"+m[1]+":") {
			t.Errorf("README.md says make %s, which the Makefile lacks", m[1])
		}
	}
}
