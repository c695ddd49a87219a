package rawjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/devmentor/ai-gateway/shared/rawjson"
)

func TestObjectRefuses(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"empty", ``, "ends too early"},
		{"array", `[1]`, "want an object"},
		{"cut short", `{"a":[1,2`, "ends too early"},
		{"trailing text", `{} x`, "more text"},
		{"trailing comma", `{"a":1,}`, "want a name"},
		{"leading zero", `{"a":01}`, "want a comma"},
		{"bare word", `{"a":nul}`, "want null"},
		{"raw newline in a string", "{\"a\":\"x\ny\"}", "control character"},
		{"bad escape", `{"a":"\x"}`, "unknown escape"},
		{"bad unicode escape", `{"a":"\u12g4"}`, "hexadecimal"},
		{"not UTF-8", "{\"a\":\"\xff\"}", "UTF-8"},
		{"not UTF-8, then ASCII", "{\"a\":\"\xff\",\"b\":\"plain\"}", "UTF-8"},
		{"a name that is not UTF-8", "{\"\xff\":\"plain\"}", "UTF-8"},
		{"repeated name", `{"model":"a","model":"b"}`, `"model" is given twice`},
		{"repeated name, escaped", `{"model":"a","mod\u0065l":"b"}`, `"model" is given twice`},
		{"too deep", `{"a":[[[[1]]]]}`, "nested too deeply"},
	} {
		_, err := rawjson.Object(nil, []byte(tc.in), 4)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestDepthIsPerBranch(t *testing.T) {
	if _, err := rawjson.Object(nil, []byte(`{"a":[[1],[2],{}],"b":{"c":[]},"d":[[3]]}`), 3); err != nil {
		t.Errorf("siblings must not add up: %v", err)
	}
}

func TestApply(t *testing.T) {
	set := func(name, v string) rawjson.Edit { return rawjson.Edit{Name: name, Value: []byte(v)} }
	del := func(name string) rawjson.Edit { return rawjson.Edit{Name: name} }
	for _, tc := range []struct {
		name, in, want string
		edits          []rawjson.Edit
	}{
		{"nothing", ` { "a" : 1.0 } `, ` { "a" : 1.0 } `, nil},
		{"replace", `{"a": 1, "b":2}`, `{"a": "x", "b":2}`, []rawjson.Edit{set("a", `"x"`)}},
		{"remove first", `{"a":1,"b":2}`, `{"b":2}`, []rawjson.Edit{del("a")}},
		{"remove middle", `{"a":1, "b":2, "c":3}`, `{"a":1, "c":3}`, []rawjson.Edit{del("b")}},
		{"remove last", `{"a":1,"b":2}`, `{"a":1}`, []rawjson.Edit{del("b")}},
		{"remove all", `{"a":1,"b":2}`, `{}`, []rawjson.Edit{del("a"), del("b")}},
		{"remove first and set second", `{"a":1,"b":2}`, `{"b":3}`, []rawjson.Edit{del("a"), set("b", "3")}},
		{"add", `{"a":1}`, `{"a":1,"z":{}}`, []rawjson.Edit{set("z", "{}")}},
		{"add to empty", `{}`, `{"z":null}`, []rawjson.Edit{set("z", "null")}},
		{"remove what is not there", `{"a":1}`, `{"a":1}`, []rawjson.Edit{del("z")}},
		{"unknown numbers stay exact", `{"a":1,"big":12345678901234567890.10e+5}`, `{"big":12345678901234567890.10e+5}`, []rawjson.Edit{del("a")}},
	} {
		fields, err := rawjson.Object(nil, []byte(tc.in), 8)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(rawjson.Apply(nil, []byte(tc.in), fields, tc.edits...)); got != tc.want {
			t.Errorf("%s: Apply = %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestElementsAndFields(t *testing.T) {
	var got []string
	err := rawjson.Elements([]byte(`[ 1 , "a,]" ,[2, 3],{"x":[]} ]`), func(i int, v []byte) error {
		got = append(got, string(v))
		return nil
	})
	if want := `1|"a,]"|[2, 3]|{"x":[]}`; err != nil || strings.Join(got, "|") != want {
		t.Errorf("Elements = %q, %v; want %s", got, err, want)
	}
	stop := errors.New("stop")
	if err := rawjson.Elements([]byte(`[1,2]`), func(int, []byte) error { return stop }); err != stop {
		t.Errorf("Elements must return fn's error, got %v", err)
	}
	f := rawjson.Fields(nil, []byte(`{"a":{"b":1},"c":null}`))
	if len(f) != 2 || string(rawjson.Get(f, "a")) != `{"b":1}` || !rawjson.IsNull(rawjson.Get(f, "c")) || rawjson.Get(f, "z") != nil {
		t.Errorf("Fields = %v", f)
	}
}

func TestInt(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "-7": -7, "4096": 4096, "9223372036854775807": 9223372036854775807} {
		if got, ok := rawjson.Int([]byte(in)); !ok || got != want {
			t.Errorf("Int(%s) = %d, %v", in, got, ok)
		}
	}
	for _, in := range []string{"", "-", "1.0", "1e3", `"1"`, "9223372036854775808", "null"} {
		if got, ok := rawjson.Int([]byte(in)); ok {
			t.Errorf("Int(%s) = %d, want none", in, got)
		}
	}
}

// TestStringsAtEveryOffset puts bytes that matter at every place of strings that
// are shorter and longer than what the scanner looks at in one go.
func TestStringsAtEveryOffset(t *testing.T) {
	bytesThatMatter := []string{"\x00", "\x01", "\x1f", " ", "!", `"`, "#", "[", `\`, "]", "\x7f", "\x80", "\xa2", "\xdc", "\xff",
		`\n`, `\"`, `\\`, `\u00e9`, `\u00g9`, `\x`, "é", "\u2028", "\U0001f600", "\xed\xa0\x80", "\"é\"", "\x02\x22", "\x22\x02", "\x1f\x21\x80"}
	for length := range 72 {
		for at := range length + 1 {
			for _, b := range bytesThatMatter {
				plain := strings.Repeat("x", length)
				in := []byte(`{"a":"` + plain[:at] + b + plain[at:] + `"}`)
				want := json.Valid(in) && utf8.Valid(in)
				if err := rawjson.Valid(in, 8); (err == nil) != want {
					t.Fatalf("Valid(%q) = %v, want valid: %v", in, err, want)
				}
				value := in[len(`{"a":`) : len(in)-1]
				if err := rawjson.Valid(value, 8); (err == nil) != (json.Valid(value) && utf8.Valid(value)) {
					t.Fatalf("Valid(%q) = %v", value, err)
				}
			}
		}
	}
}

// FuzzObject holds the scanner against encoding/json, which is the reference
// for what is JSON.
func FuzzObject(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1}`, `{"a":"\ud800\"x","b":[1,-0.5e+7,true,null,{}]}`, "{\"\u00e9\":\"\u2028\"}", `{"a":}`, `{"a":[1,"]"],"b":[-1, 2 ],"c":[3,[4],{"]":5}],"d":[0]}`, `{"a":"\\\"\\\\","b\"":"\\\\\""}`, `{"a":"` + strings.Repeat("x", 40) + `"}`, "{\"a\":\"12345678\x01\"}",
		`{"a":"` + strings.Repeat("x", 31) + `\\\""}`, `{"` + strings.Repeat("é", 30) + `":"` + strings.Repeat("\xff", 40) + `"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		fields, err := rawjson.Object(nil, in, 10000)
		valid := json.Valid(in) && utf8.Valid(in)
		trimmed := bytes.TrimLeft(in, " \t\r\n")
		isObject := len(trimmed) > 0 && trimmed[0] == '{'
		if err == nil && !(valid && isObject) {
			t.Fatalf("accepted what encoding/json refuses: %q", in)
		}
		if err != nil && valid && isObject && !strings.Contains(err.Error(), "twice") {
			t.Fatalf("refused what encoding/json accepts: %q: %v", in, err)
		}
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(in, &want); err != nil {
			t.Fatal(err)
		}
		for _, fl := range fields {
			if !bytes.Equal(want[fl.Name], fl.Value) {
				t.Fatalf("field %q = %s, want %s", fl.Name, fl.Value, want[fl.Name])
			}
		}
		again := rawjson.Fields(nil, in) // the fast way over text that is known to be valid
		if len(again) != len(fields) {
			t.Fatalf("Fields found %d fields in %q, Object %d", len(again), in, len(fields))
		}
		for i := range again {
			if again[i].Name != fields[i].Name || !bytes.Equal(again[i].Value, fields[i].Value) {
				t.Fatalf("Fields of %q = %q %q, Object found %q %q", in, again[i].Name, again[i].Value, fields[i].Name, fields[i].Value)
			}
		}
		out := rawjson.Apply(nil, in, fields, rawjson.Edit{Name: "\x00new", Value: []byte("1")})
		for _, fl := range fields {
			out2 := rawjson.Apply(nil, in, fields, rawjson.Edit{Name: fl.Name})
			if !json.Valid(out2) {
				t.Fatalf("removing %q from %q left %q", fl.Name, in, out2)
			}
		}
		if !json.Valid(out) {
			t.Fatalf("adding to %q made %q", in, out)
		}
	})
}

// FuzzString holds String against encoding/json on strings that are valid.
func FuzzString(f *testing.F) {
	for _, s := range []string{`""`, `"plain"`, `"\"\\\/\b\f\n\r\t"`, `"a\nb\n"`, `"\u00e9"`, `"a\nb\u00e9\ud83d\ude00\ud800"`, `"é\n日本"`, `"\\u0041\\"`, "\"\xff\\n\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var want string
		if len(in) < 2 || in[0] != '"' || in[len(in)-1] != '"' || json.Unmarshal(in, &want) != nil || bytes.IndexByte(in, '\\') < 0 {
			return
		}
		if got, ok := rawjson.String(in); !ok || got != want {
			t.Fatalf("String(%q) = %q, %v, want %q", in, got, ok, want)
		}
	})
}

func FuzzAppendString(f *testing.F) {
	f.Add("plain")
	f.Add("q\"\\\n\r\t\x00\u2028é\xff")
	f.Fuzz(func(t *testing.T, in string) {
		var got string
		if err := json.Unmarshal(rawjson.AppendString(nil, in), &got); err != nil {
			t.Fatal(err)
		}
		if want := strings.ToValidUTF8(in, "\ufffd"); utf8.ValidString(in) && got != want {
			t.Fatalf("%q came back as %q", in, got)
		}
	})
}

func prompt(sentence string, size int) []byte {
	text := strings.Repeat(sentence, size/len(sentence))
	return []byte(`{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"` + text + `"}]}`)
}

// BenchmarkObject compares one pass of ours with encoding/json's Valid.
func BenchmarkObject(b *testing.B) {
	for _, bc := range []struct {
		name string
		in   []byte
	}{
		{"small", prompt(`The quick brown fox jumps over the lazy dog.\n`, 500)},
		{"50 KB of lines", prompt(`The quick brown fox jumps over the lazy dog.\n`, 50_000)},
		{"50 KB of quotations", prompt(`The quick brown fox said: \"jump\" over\nthe lazy dog. `, 50_000)},
		{"50 KB without escapes", prompt(`The quick brown fox jumps over the lazy dog. `, 50_000)},
		{"50 KB of Russian", prompt(`Съешь ещё этих мягких французских булок, да выпей же чаю.\n`, 50_000)},
	} {
		b.Run("ours/"+bc.name, func(b *testing.B) {
			b.SetBytes(int64(len(bc.in)))
			b.ReportAllocs()
			fields := make([]rawjson.Field, 0, 16)
			for b.Loop() {
				if _, err := rawjson.Object(fields[:0], bc.in, 64); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("std.Valid/"+bc.name, func(b *testing.B) {
			b.SetBytes(int64(len(bc.in)))
			for b.Loop() {
				json.Valid(bc.in)
			}
		})
	}
}

func TestMarshalLeavesCodeAlone(t *testing.T) {
	got, err := rawjson.Marshal(map[string]string{"a": "<b> && c\n"})
	if want := `{"a":"<b> && c\n"}`; string(got) != want || err != nil {
		t.Errorf("Marshal = %s, %v, want %s", got, err, want)
	}
	if _, err := rawjson.Marshal(func() {}); err == nil {
		t.Error("Marshal of a function = nil, want an error")
	}
}

func TestKindOfADecodedValueIsItsKind(t *testing.T) {
	for _, text := range []string{`{}`, `[1]`, `"a"`, `-1.5e3`, `true`, `false`, `null`} {
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		var v any
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		if got, want := rawjson.KindOf(v), rawjson.Kind([]byte(text)); got != want {
			t.Errorf("KindOf(%s) = %q, want %q", text, got, want)
		}
	}
}
