package prompt_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/prompt"
	"github.com/devmentor/ai-gateway/shared/tokens"
)

// allocated is how many bytes f allocates.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// TestManyPiecesAreJoinedOnce: a body of 6 MB has room for a quarter of a million
// parts of a message, or for fifty thousand results of tools in a turn.
func TestManyPiecesAreJoinedOnce(t *testing.T) {
	w := prompt.Window{Size: 2000, Reserve: 100, Counter: tokens.For("anthropic", "claude-opus-4-7"), Strategy: prompt.Summarize}
	for name, work := range map[string]func(size int) func(){
		"parts": func(size int) func() {
			parts := strings.Repeat(`,{"type":"text","text":"pump"}`, size)[1:]
			list := []json.RawMessage{[]byte(`{"role":"user","content":[` + parts + `]}`)}
			return func() { prompt.Question(list) }
		},
		"results": func(size int) func() {
			list := []json.RawMessage{[]byte(`{"role":"user","content":"Look."}`), nil}
			var calls []string
			for i := range size {
				calls = append(calls, fmt.Sprintf(`{"id":"c%d","type":"function","function":{"name":"f","arguments":"{}"}}`, i))
				list = append(list, fmt.Appendf(nil, `{"role":"tool","tool_call_id":"c%d","content":"Nothing."}`, i))
			}
			list[1] = []byte(`{"role":"assistant","tool_calls":[` + strings.Join(calls, ",") + `]}`)
			list = append(list, []byte(`{"role":"user","content":"And now?"}`))
			return func() {
				if f, err := w.Fit(t.Context(), list); err != nil || f.Summary == nil {
					t.Fatalf("%v, or no summary", err)
				}
			}
		},
	} {
		work(500)() // what is built once
		if small, large := allocated(work(500)), allocated(work(8000)); large > 48*small {
			t.Errorf("%s: 500 take %d bytes, and 8000 %d", name, small, large)
		}
	}
}
