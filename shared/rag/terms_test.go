package rag

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTermsOfText(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"endings come off", "Relational databases, running quickly", "relat databas run quickli"},
		{"words that all texts have are left out", "what is the shape of it", "shape"},
		{"little words that mean something stay", "not all but the first", "not all first"},
		{"identifiers in snake case", "get_user_name()", "get user name getusername"},
		{"identifiers in camel case", "getUserName", "get user name getusername"},
		{"capitals in a row", "HTTPServer JSONs URLs", "http server httpserver json url"},
		{"digits stay with letters", "utf8 sha256 3.14", "utf8 sha256 3 14"},
		{"abbreviations are spelt out", "str to int, addrs of libs", "string integ address librari"},
		{"dunder names", "__init__", "initi"},
		{"accents", "Überfluß naïve", "überfluß naïve"},
		{"scripts without spaces", "東京都は go", "東京 京都 都は go"},
		{"one character of such a script", "水", "水"},
		{"no words", " -- ... _ ", ""},
		{"broken UTF-8", "ab\xffcd", "ab cd"},
		{"what is too long for a word", strings.Repeat("a", 65) + " b", "b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := strings.Join(texts(QueryTerms(c.text)), " "); got != c.want {
				t.Errorf("QueryTerms(%q) = %q, want %q", c.text, got, c.want)
			}
		})
	}
}

func texts(terms []QueryTerm) (list []string) {
	for _, t := range terms {
		list = append(list, t.Text)
	}
	return list
}

func TestWordsOfAQueryWeighMoreIfTheyAreRepeated(t *testing.T) {
	got := QueryTerms("the shape of wings", "shapes, wing shape?")
	want := []QueryTerm{{"shape", 1.8}, {"wing", 1.5}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("QueryTerms (-want +got):\n%s", diff)
	}
	if got := QueryTerms(strings.Repeat("wing ", 1000)); got[0].Weight >= 3 {
		t.Errorf("weight of what is said 1,000 times = %v, want less than 3", got[0].Weight)
	}
}

// TestStem has the examples of Porter's paper.
func TestStem(t *testing.T) {
	for word, want := range map[string]string{
		"caresses": "caress", "ponies": "poni", "caress": "caress", "cats": "cat", "feed": "feed", "agreed": "agre", "plastered": "plaster",
		"bled": "bled", "motoring": "motor", "sing": "sing", "conflated": "conflat", "troubled": "troubl", "sized": "size", "hopping": "hop",
		"falling": "fall", "hissing": "hiss", "fizzed": "fizz", "failing": "fail", "filing": "file", "happy": "happi", "sky": "sky",
		"relational": "relat", "conditional": "condit", "rational": "ration", "digitizer": "digit", "vietnamization": "vietnam", "operator": "oper",
		"feudalism": "feudal", "decisiveness": "decis", "hopefulness": "hope", "formality": "formal", "sensitivity": "sensit", "triplicate": "triplic",
		"formative": "form", "formalize": "formal", "electrical": "electr", "goodness": "good", "revival": "reviv", "allowance": "allow",
		"inference": "infer", "airliner": "airlin", "adjustable": "adjust", "replacement": "replac", "adoption": "adopt", "communism": "commun",
		"activate": "activ", "effective": "effect", "probate": "probat", "rate": "rate", "cease": "ceas", "controll": "control", "roll": "roll",
		"is": "is", "naïve": "naïve", "utf8s": "utf8s",
	} {
		if got := stem(word); got != want {
			t.Errorf("stem(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestNamesAndTitlesWeighMore(t *testing.T) {
	count := func(p Passage, term string) uint8 {
		for _, got := range new(Analyzer).Terms(p) {
			if got.Text == term {
				return got.Count
			}
		}
		return 0
	}
	code := Passage{Text: "def parse(line):\n    return line.split()", Context: "python", Code: true}
	if got := count(code, "pars"); got != 1+nameWeight {
		t.Errorf("count of a definition's name = %d, want %d", got, 1+nameWeight)
	}
	if got := count(code, "python"); got != contextWeight {
		t.Errorf("count of the context = %d, want %d", got, contextWeight)
	}
	text := Passage{Text: "Budgets. Money is held.", Lead: len("Budgets")}
	if got := count(text, "budget"); got != 1+leadWeight {
		t.Errorf("count of a title = %d, want %d", got, 1+leadWeight)
	}
	many := Passage{Text: strings.Repeat("money ", 1000)}
	if got := count(many, "monei"); got != 255 {
		t.Errorf("count of a term that is there 1,000 times = %d, want 255", got)
	}
}

func TestDefinitionsInManyLanguages(t *testing.T) {
	code := "def a(x):\nclass B:\nfunc (s *Store) C(x int) {\nfunc d() {\npub(crate) fn e<T>() {\nexport default async function f() {\ntype G struct {\npublic static final class H {\nx = function"
	want := []string{"a", "B", "C", "d", "e", "f", "G", "H"}
	if diff := cmp.Diff(want, definitions(code)); diff != "" {
		t.Errorf("definitions (-want +got):\n%s", diff)
	}
}

// TestTermsAndLabelsAreThoseOfTheirVersion: libraries keep them. Who has to
// change what is wanted here gives IndexVersion another value, too.
func TestTermsAndLabelsAreThoseOfTheirVersion(t *testing.T) {
	const version = "2"
	p := Passage{Text: "Reserving: how db.getUserName_v2 reserves 3,5 leases für 東京都.", Lead: len("Reserving"), Context: "HTTPServer"}
	var got []string
	for _, term := range new(Analyzer).Terms(p) {
		got = append(got, fmt.Sprint(term.Text, " ", term.Count))
	}
	slices.Sort(got)
	got = append(got, Labels([]byte(`{"a":"x","n=":[1.50,true,12345678901234567890],"deep":{"b":1}}`))...)
	want := "3 1, 5 1, databas 1, für 1, get 1, getusernamev2 1, http 1, httpserver 1, leas 1, name 1, reserv 5, server 1, user 1, v2 1, 京都 1, 東京 1, " +
		"a=sx, n===btrue, n===n1.5, n===n1234567890123456789e1"
	if list := strings.Join(got, ", "); list != want || version != IndexVersion {
		t.Errorf("version %s has\n%s, want version %s with\n%s", IndexVersion, list, version, want)
	}
}
