package tidy

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/codegen"
)

// TestToolsThatPanicLeaveTheFileAsItIs: the author hears that it was not
// checked, the log why.
func TestToolsThatPanicLeaveTheFileAsItIs(t *testing.T) {
	var log bytes.Buffer
	tools := Tools{Log: slog.New(slog.NewTextHandler(&log, nil))}
	f := codegen.File{Path: "a.go", Language: "go", Content: "package a"}
	text, done := tools.run(language{format: func(codegen.File) (string, bool) { panic("formatter") }}, f)
	if text != "" || done || !strings.Contains(log.String(), "formatter") || !strings.Contains(log.String(), "guard_test.go") {
		t.Errorf("run = %q, %t, logged as %s, want nothing, and where it panicked", text, done, &log)
	}
	list := tools.look(language{check: func(codegen.File) []codegen.Diagnostic { panic("parser") }}, f)
	if len(list) != 1 || list[0].Code != "unchecked" || list[0].Path != "a.go" || !strings.Contains(log.String(), "parser") {
		t.Errorf("look = %+v, logged as %s, want one that says so", list, &log)
	}
	if list := (Tools{}).look(language{check: func(codegen.File) []codegen.Diagnostic { panic("parser") }}, f); len(list) != 1 {
		t.Errorf("look without a log = %+v, want one", list)
	}
}
