package bedrock

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
)

// FuzzConvert checks that every body that passes the door is either translated
// into what Converse can take or refused as the caller's mistake.
func FuzzConvert(f *testing.F) {
	paths, err := filepath.Glob("testdata/chat/*.txtar")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if file.Name == "client.json" {
				f.Add(file.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		req, err := llm.ParseRequest(body)
		if err != nil {
			return
		}
		in, _, err := (&Provider{Name: "bedrock"}).convert(req)
		if err != nil {
			if !errors.Is(err, fault.Invalid) {
				t.Errorf("convert = %v, want fault.Invalid", err)
			}
			return
		}
		var last types.ConversationRole
		for i, m := range in.Messages {
			if m.Role == last || len(m.Content) == 0 {
				t.Errorf("turn %d of %s follows one of %q with %d blocks", i, m.Role, last, len(m.Content))
			}
			last = m.Role
		}
		if n := *in.InferenceConfig.MaxTokens; n < 1 {
			t.Errorf("maxTokens = %d", n)
		}
	})
}
