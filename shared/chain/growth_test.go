//go:build unix

package chain_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/growthtest"
)

// TestManyMembersAreReadInLinearTime, wherever a chain takes any name.
func TestManyMembersAreReadInLinearTime(t *testing.T) {
	for where, body := range map[string]string{
		"parameters": with(prompt("a", "x", `"parameters":{MANY}`)),
		"variables":  with(`{"id":"a","type":"prompt","template":{"name":"t","variables":{MANY}}}`),
		"select":     with(`{"id":"a","type":"transform","select":{MANY}}`),
	} {
		growthtest.Linear(t, where, 1_000, func(size int) func() {
			var many []string
			for i := range size {
				many = append(many, fmt.Sprintf(`"m%d":"$.input"`, i))
			}
			text := []byte(strings.Replace(body, "MANY", strings.Join(many, ","), 1))
			return func() {
				if _, err := chain.Parse(text); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
