package conversation_test

import (
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/conversation"
)

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		"conv_00000000": true, "conv_Vbl9JmR0zP4zQsOiSLCT457E": true, "conv_" + strings.Repeat("x", 64): true,
		"": false, "conv_": false, "conv_1234567": false, "conv_" + strings.Repeat("x", 65): false, "CONV_00000000": false, "msg_00000000": false,
		"conv_0000000/": false, "conv_0000000\x00": false, "conv_00000000\n": false, " conv_00000000": false, "conv_0000-0000": false,
	} {
		if got := conversation.ValidID(id); got != want {
			t.Errorf("ValidID(%q) = %v, want %v", id, got, want)
		}
	}
}
