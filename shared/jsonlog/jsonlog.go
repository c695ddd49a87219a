// Package jsonlog makes the logger of every process: one JSON object a line,
// with the member names that Lambda's log pipeline knows.
package jsonlog

import (
	"io"
	"log/slog"
)

// New returns a logger that writes to w from level ("debug", "info", "warn" or
// "error") upward.
func New(w io.Writer, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l, ReplaceAttr: rename}))
}

// rename gives time and message the names that Lambda looks for; "level" it
// knows already.
func rename(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.TimeKey:
		a.Key = "timestamp"
	case slog.MessageKey:
		a.Key = "message"
	}
	return a
}
