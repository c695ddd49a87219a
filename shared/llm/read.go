package llm

import (
	"slices"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// ReadObject reads the fields of a JSON object, nested at most MaxDepth deep,
// that has no field twice and, if any are known, no others. param names it in
// errors, which are fault.Invalid; "" is the body.
func ReadObject(param string, value []byte, known ...string) ([]rawjson.Field, error) {
	if param != "" && rawjson.Kind(value) != "object" {
		return nil, wrongType(param, value, "object")
	}
	fields, err := rawjson.Object(make([]rawjson.Field, 0, 16), value, MaxDepth)
	switch {
	case err != nil && param == "":
		return nil, &fault.Error{Kind: fault.Invalid, Code: "invalid_json", Message: "The body is not a valid JSON object: " + err.Error() + "."}
	case err != nil:
		return nil, fault.Field(param, "'%s' is wrong: %v.", param, err)
	}
	for _, f := range fields {
		if len(known) > 0 && !slices.Contains(known, f.Name) {
			if param != "" {
				f.Name = param + "." + f.Name
			}
			return nil, fault.Unknown(f.Name, known...)
		}
	}
	return fields, nil
}

// Beside returns what a model gets to read of a chat request beside its
// messages.
func Beside(fields []rawjson.Field) (values [][]byte) {
	for _, name := range []string{"tools", "functions", "response_format"} {
		if v := rawjson.Get(fields, name); !rawjson.IsNull(v) {
			values = append(values, v)
		}
	}
	return values
}

// ReadBool reads a boolean; an error is fault.Invalid and names param.
func ReadBool(param string, value []byte) (bool, error) {
	if rawjson.Kind(value) != "boolean" {
		return false, wrongType(param, value, "boolean")
	}
	return string(value) == "true", nil
}
