package chain

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestPathsThatWouldTakeForeverAreRefused: all of them are valid JSONPath.
func TestPathsThatWouldTakeForeverAreRefused(t *testing.T) {
	for _, src := range []string{
		"$" + strings.Repeat("[0,0]", 2),
		"$.a" + strings.Repeat("..*", 2),
		"$" + strings.Repeat(".a", maxSegments+1),
		"$[" + strings.Repeat("0,", maxSelectors) + "0]",
		"$[?@..x]", "$[?@.a[?@.b]]", "$[?@.*]", "$[?@[0,1]]", "$[?@[1:2]]", "$[?@.a && $..b]",
		"$.a" + strings.Repeat("a", maxPath),
	} {
		if _, err := parsePath(src); err == nil {
			t.Errorf("parsePath(%.60s) = nil, want an error", src)
		}
	}
	for _, src := range []string{"$", "$.a.b[0]['c d']", "$.a[-1:]", "$..name", "$.a[*].b", "$[0,1].x", "$.a[?@.x > 1 && @.y == 'a.b*c:d,[]?' || !@.z]",
		`$.a[?length(@.name) > 2 && match(@.name, "a.*,[b]")]`, "$.a[?@.x == $.input.y]", "$.a[?@.x == 1.5e3]"} {
		if _, err := parsePath(src); err != nil {
			t.Errorf("parsePath(%s) = %v, want nil", src, err)
		}
	}
}

func TestTheDearestPathTakesItsTimeInProportion(t *testing.T) {
	p, err := parsePath("$[" + strings.Repeat("'list',", maxSelectors-1) + "'list']..*[?@.a == $.list[0].b && match(@.c, '(a+)+$')]")
	if err != nil {
		t.Fatal(err)
	}
	item := map[string]any{"a": "x", "c": strings.Repeat("a", 100) + "!"}
	list := slices.Repeat([]any{item}, 500)
	start := time.Now()
	p.selects(map[string]any{"list": list}, free)
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("selects took %s", took)
	}
}

func TestPathsNameWhatTheyReadFrom(t *testing.T) {
	for src, want := range map[string]string{
		"$.input.a.b":   "[[input a b]]",
		"$['input'][0]": "[[input]]",
		"$.steps.a.output[?@.x == $.steps['b c'].output.y && $.item]": `[[steps b c output y] [item] [steps a output]]`,
		`$.a[?@['$.steps'] == "$.input.x"]`:                           `[[a]]`,
		`$.a[?count($.steps.b.output.z) > 1]`:                         `[[steps b output z] [a]]`,
		`$.a[?$['q"u\\o\u0007te'].x]`:                                 "[[q\"u\\o\ate x] [a]]",
		"$":                                                           "[[]]",
		"$..a":                                                        "[[]]",
	} {
		p, err := parsePath(src)
		if err != nil {
			t.Errorf("parsePath(%s) = %v", src, err)
			continue
		}
		var lists [][]string
		for _, r := range p.refs {
			lists = append(lists, r)
		}
		if got := fmt.Sprint(lists); got != want {
			t.Errorf("%s refers to %s, want %s", src, got, want)
		}
	}
}

// TestSelectionsHaveOneOrder: what Go's maps shuffle comes in the order of its
// names, again and again.
func TestSelectionsHaveOneOrder(t *testing.T) {
	data := decode([]byte(`{"o":{"e":5,"d":4,"c":{"x":3,"a":9},"b":2,"a":1},"l":[3,2,1]}`)).(map[string]any)
	for src, want := range map[string]string{
		"$.o.*":                     `[1,2,{"a":9,"x":3},4,5]`,
		"$.o..x":                    `[3]`,
		"$..a":                      `[1,9]`,
		"$.o[?@ > 1]":               `[2,4,5]`,
		"$.l[*]":                    `[3,2,1]`,
		"$.l[2,0]":                  `[1,3]`,
		"$.l[::-1]":                 `[1,2,3]`,
		"$.o['e','a']":              `[5,1]`,
		"$.o.d":                     `4`,
		"$.none[*]":                 `[]`,
		"$.o[?match(@.x, '3')]":     `[]`, // most have no x, and that of c is a number
		"$.o[?search(@.none, 'x')]": `[]`,
		"$.l[?@ == 99]":             `[]`,
	} {
		p, err := parsePath(src)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			v, ok, _ := p.selects(data, free)
			got, err := json.Marshal(v)
			if err != nil || !ok || string(got) != want {
				t.Fatalf("%s selects %s, %t, %v, want %s", src, got, ok, err, want)
			}
		}
	}
	p, err := parsePath("$.o.none")
	if err != nil {
		t.Fatal(err)
	}
	if v, ok, _ := p.selects(data, free); ok {
		t.Errorf("$.o.none selects %v, want nothing", v)
	}
}

func TestConditions(t *testing.T) {
	data := decode([]byte(`{"n":3,"f":3.0,"s":"abc","null":null,"l":[1,{"a":2}],"t":true,"big":9007199254740993,"huge":1e999}`)).(map[string]any)
	for question, want := range map[string]string{
		`{"path":"$.n","exists":true}`:                  "true",
		`{"path":"$.none","exists":true}`:               "false",
		`{"path":"$.none","exists":false}`:              "true",
		`{"path":"$.null","exists":true}`:               "false",
		`{"path":"$.f","equals":3}`:                     "true",
		`{"path":"$.n","equals":"3"}`:                   "false",
		`{"path":"$.big","equals":9007199254740992}`:    "false",
		`{"path":"$.null","equals":null}`:               "true",
		`{"path":"$.none","equals":null}`:               "false",
		`{"path":"$.none","not_equals":1}`:              "true",
		`{"path":"$.l","equals":[1.0,{"a":2}]}`:         "true",
		`{"path":"$.l","not_equals":[1,{"a":2,"b":3}]}`: "true",
		`{"path":"$.s","matches":"^a.c$"}`:              "true",
		`{"path":"$.s","matches":"^b"}`:                 "false",
		`{"path":"$.none","matches":"."}`:               "false",
		`{"path":"$.n","matches":"3"}`:                  "unprocessable",
		`{"path":"$.s","in":["x","abc"]}`:               "true",
		`{"path":"$.n","in":["3",4]}`:                   "false",
		`{"path":"$.none","in":[null]}`:                 "false",
		`{"path":"$.n","gt":2.5}`:                       "true",
		`{"path":"$.n","gt":3}`:                         "false",
		`{"path":"$.n","lt":4}`:                         "true",
		`{"path":"$.null","lt":4}`:                      "false",
		`{"path":"$.s","lt":4}`:                         "unprocessable",
		`{"path":"$.huge","lt":4}`:                      "unprocessable",
	} {
		var p Problems
		q := p.test("if", []byte(question), &Step{})
		if len(p) > 0 {
			t.Errorf("%s: %v", question, p)
			continue
		}
		holds, err := q.holds(data, free)
		got := fmt.Sprint(holds)
		if f := failureOf(err); f != "" {
			got = f
		}
		if got != want {
			t.Errorf("%s = %s, want %s", question, got, want)
		}
	}
}

func failureOf(err error) string {
	if err == nil {
		return ""
	}
	return string(failure(err).Kind)
}

func TestAnswersThatShouldBeJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":1}`:                    `{"a":1}`,
		" [1, 2]\n":                  `[1,2]`,
		"```json\n{\"a\":1}\n```\n":  `{"a":1}`,
		"```\n\"x\"\n```":            `"x"`,
		"Here it is: {}":             "",
		"":                           "",
		`{"a":1`:                     "",
		strings.Repeat("[", 100_000): "",
	} {
		v, err := jsonValue(Answer{Text: text, Finish: "length"})
		if want == "" {
			if failureOf(err) != "upstream" || !strings.Contains(err.Error(), "cut off") {
				t.Errorf("jsonValue(%.20q) = %v, %v, want upstream", text, v, err)
			}
			continue
		}
		got, merr := json.Marshal(v)
		if diff := cmp.Diff(want, string(got)); diff != "" || errors.Join(err, merr) != nil {
			t.Errorf("jsonValue(%q) = %s, %v, want %s", text, got, err, want)
		}
	}
}
