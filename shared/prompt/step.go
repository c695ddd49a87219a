package prompt

import (
	"encoding/json"

	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// step is what a message is to the calls of tools.
type step struct {
	role   string
	result bool     // it answers a call
	id     string   // of that call
	calls  []string // ids of the calls that it makes
}

// oldForm begins the ids of calls in the old form, of which a message has one,
// and which have no ids: their results name the function.
const oldForm = "function\x00"

func steps(messages []json.RawMessage) []step {
	list := make([]step, len(messages))
	var buf [8]rawjson.Field
	for i, m := range messages {
		list[i] = stepOf(rawjson.Fields(buf[:0], m))
	}
	return list
}

func stepOf(message []rawjson.Field) (s step) {
	s.role, _ = rawjson.String(rawjson.Get(message, "role"))
	switch s.role {
	case "tool":
		s.result, s.id = true, named(message, "tool_call_id")
	case "function":
		s.result, s.id = true, oldForm+named(message, "name")
	}
	if list := rawjson.Get(message, "tool_calls"); rawjson.Kind(list) == "array" {
		rawjson.Elements(list, func(_ int, call []byte) error {
			id := ""
			if rawjson.Kind(call) == "object" {
				id = named(rawjson.Fields(nil, call), "id")
			}
			s.calls = append(s.calls, id)
			return nil
		})
	}
	if call := rawjson.Get(message, "function_call"); rawjson.Kind(call) == "object" && s.calls == nil {
		s.calls = []string{oldForm + named(rawjson.Fields(nil, call), "name")}
	}
	return s
}

// named is the string that a member is; "" if it is none.
func named(fields []rawjson.Field, name string) string {
	s, _ := rawjson.String(rawjson.Get(fields, name))
	return s
}

// system says whether the message is an instruction of the developer's.
func (s step) system() bool { return s.role == "system" || s.role == "developer" }

func role(m json.RawMessage) string {
	if m == nil {
		return ""
	}
	return named(rawjson.Fields(nil, m), "role")
}

func isSystem(m json.RawMessage) bool { return step{role: role(m)}.system() }
