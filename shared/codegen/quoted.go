package codegen

import (
	"strings"

	"github.com/devmentor/ai-gateway/shared/pattern"
)

// unquote takes the mark of a quotation from a line: "> x".
func unquote(line string) (string, bool) {
	rest, ok := strings.CutPrefix(line, ">")
	return strings.TrimPrefix(rest, " "), ok
}

// takeQuoted reads a line outside of blocks that is quoted. It says whether a
// block begins there, or may begin in a later line. Without a path the block is
// an example.
func (p *Parser) takeQuoted(line string) bool {
	inner, ok := unquote(line)
	if !ok {
		return false
	}
	if isBlank(inner) && p.path != "" && strings.Count(p.held, "\n") < maxHeld {
		p.held += line
		return true
	}
	f, fenced := readOpener(inner)
	if !fenced {
		return false
	}
	p.open(f, line)
	p.block.quoted = true
	return true
}

// insideQuoted reads a line of a quoted block, which ends with the quotation.
func (p *Parser) insideQuoted(line string) {
	b := p.block
	inner, ok := unquote(line)
	switch {
	case ok:
		p.insideFence(inner)
		return
	case b.fresh && b.path == "":
		p.block = nil
		p.explain(b.line)
	case b.fresh:
		p.start()
		p.close()
	default:
		p.close()
	}
	p.take(line)
}

// command finds a line that somebody types: the name of a program, and what it
// is to do.
var command = pattern.Pattern{Expr: `^(?:[$>%] +)?(?:sudo +)?(?:[A-Z_]+=\S* +)*(?:\.{0,2}/[\w./-]+|(?:npm|npx|yarn|pnpm|bun|bunx|deno|node|pip3?|pipx|uv|poetry|conda|python3?|py|pytest|go|cargo|rustup|make|cmake|docker|docker-compose|podman|kubectl|helm|minikube|terraform|git|gh|` +
	`cd|ls|mkdir|touch|cp|mv|rm|cat|chmod|curl|wget|brew|apt|apt-get|dnf|yum|apk|pacman|choco|winget|source|php|composer|ruby|gem|bundle|rails|dotnet|mvn|gradle|java|javac|kotlinc|swift|flask|uvicorn|gunicorn|django-admin|gcc|g\+\+|clang|tsc|ts-node|tsx|vite|jest|ruff|mypy|eslint|prettier|psql|mysql|sqlite3|redis-cli|aws|gcloud|az|sam|cdk|serverless|ssh|scp|open|streamlit|jupyter|alembic|celery|air|buf|protoc|sqlc|goose|migrate))(?: [^<]*)?$`}

// isCommands says that a block's lines are only commands, one by one, to be
// typed rather than kept.
func isCommands(text string) bool {
	typed := 0
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "# "):
		case !command.Match(line):
			return false
		default:
			typed++
		}
	}
	return typed > 0 && typed <= 8
}
