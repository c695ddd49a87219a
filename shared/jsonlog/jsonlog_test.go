package jsonlog_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/jsonlog"
)

func TestLambdaReadsOurLines(t *testing.T) {
	var b bytes.Buffer
	log := jsonlog.New(&b, "warn")
	log.Info("dropped")
	log.Warn("kept", "n", 1)
	var line struct {
		Timestamp, Level, Message string
		N                         int
	}
	if err := json.Unmarshal(b.Bytes(), &line); err != nil {
		t.Fatalf("%q: %v", b.String(), err)
	}
	if _, err := time.Parse(time.RFC3339Nano, line.Timestamp); err != nil || line.Level != "WARN" || line.Message != "kept" || line.N != 1 {
		t.Errorf("line = %s (%v)", b.String(), err)
	}
}
