package rag

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestWordsOfText(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"endings come off", "Relational databases, running quickly", "relat databas run quickli"},
		{"words that all texts have are left out", "what is the shape of it", "shape"},
		{"little words that mean something stay", "not all but the first", "not all first"},
		{"identifiers in snake case", "get_user_name()", "get user name getusername"},
		{"identifiers in camel case", "getUserName", "get user name getusername"},
		{"capitals in a row", "HTTPServer JSONs URLs", "http server httpserver json url"},
		{"digits stay with letters", "utf8 sha256 3.14", "utf8 sha256 3 14"},
		{"abbreviations stay", "str to int, addrs of libs", "str int addr lib"},
		{"what ends like a plural", "iOS gas TLS ids", "os ios gas tls id"},
		{"dunder names", "__init__", "init"},
		{"accents", "Überflüssig naïve", "überflüssig uberflussig naïve naiv"},
		{"full width", "ＡＢＣ１２３ ﾃﾞｰﾀ", "abc123 デー ータ"},
		{"ligatures and hyphens that nobody sees", "ﬁles co\u00adoperate", "file cooper"},
		{"letters that are written otherwise", "Straße STRASSE λόγος", "strass λόγοσ λογοσ"},
		{"marks of their own", "Cafe\u0301", "café cafe"},
		{"signs beside words", "Java™ note¹ H₂O", "java tm note 1 h2 o h2o"},
		{"scripts without spaces", "東京都は go", "東京 京都 都は go"},
		{"one character of such a script", "水", ""},
		{"Korean endings", "고양이는", "고양 양이 이는"},
		{"Thai, Lao, Khmer, Burmese", "แมว ແມວ ឆ្មា ကြ", "แม มว ແມ ມວ ឆ្ ្ម មា ကြ"},
		{"marks that belong to letters", "हिन्दी", "हिन्दी"},
		{"no words", " -- ... _ ", ""},
		{"a mark alone", "\u0301", "\u0301"},
		{"broken UTF-8", "ab\xffcd", "ab cd"},
		{"languages that are a letter with signs", "C++ C c++17 C#12 F#? C#语言 Objective-C++", "c++ c 17 c# 12 f# 语言 object"},
		{"signs that belong to no letter", "C+ C+1 1++ 2# x## ab++ /c#part C-", "c 1 2 x# ab part"},
		{"data that looks like a name", strings.Repeat("aBcD", 20), "abcdabcdabcdabcd…3ilpgqsd2iith"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, term := range texts(QueryTerms(c.text)) {
				if !beside(term) {
					got = append(got, term)
				}
			}
			if list := strings.Join(got, " "); list != c.want {
				t.Errorf("QueryTerms(%q) = %q, want %q", c.text, list, c.want)
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

// TestTermsBesideWords: what passages have beside their words, and what queries
// ask for.
func TestTermsBesideWords(t *testing.T) {
	for _, c := range []struct{ text, prose, code, query string }{
		{"cafe", "cafe 1", "cafe 1", "cafe 1, _cafe 0.4"},
		{"café", "café 1, _cafe 1", "café 1, _cafe 1", "café 0.6, cafe 0.4, _cafe 0.4"},
		{"it is who", "_is 1, _it 1, _who 1", "_is 1, _it 1, _who 1", "_it 1, _IT 1, _is 1, _IS 1, _who 1, _WHO 1"},
		{"WHO is", "_WHO 1, _is 1, _who 1", "_WHO 1, _is 1, _who 1", "_WHO 1.5, _who 1, _is 1, _IS 1"},
		{"who cares", "_who 1, care 1", "_who 1, care 1", "care 1, _care 0.4"},
		{"WHO cares", "_WHO 1, _who 1, care 1", "_WHO 1, _who 1, care 1", "_WHO 1, care 1, _care 0.4"},
		{"str", "str 1", "_~string 1, str 1, string 1", "str 1, _str 0.4, _~string 0.3"},
		{"STR", "str 1", "_~string 1, str 1, string 1", "str 1, _str 0.4"},
		{"strings", "string 1", "_=string 1, _~string 1, string 1", "string 1, _string 0.4, _=string 0.1"},
		{"1.26.3", "1 1, 26 1, 3 1, _1.26.3 1", "1 1, 26 1, 3 1, _1.26.3 1", "1 1, 26 1, 3 1, _1.26.3 1"},
		{"v1.2, 2024-01-15T10:30.", "01 1, 15 1, 15t10 1, t10 1, 2 1, 2024 1, 30 1, _1.2 1, _10:30 1, _2024-01-15 1, v1 1", "",
			"v1 1, _v1 0.4, 2 1, 2024 1, 01 1, 15 1, t10 1, _t10 0.4, 15t10 1, 30 1, _1.2 1, _2024-01-15 1, _10:30 1"},
		{"C++", "c++ 1", "_c++ 1, c 1", "c++ 1, _c++ 0.4"},
		{"c#", "c# 1", "_c# 1, c 1", "c# 1, _c# 0.4"},
		{".NET", "_.net 1, net 1", "_.net 1, net 1", "net 0.4, _net 0.4, _.net 1"},
		{"ASP.NET, 的.net", "_.net 2, _的 1, asp 1, net 2", "", "asp 1, _asp 0.4, net 0.6, _net 0.6, _.net 1.5, _的 1"},
		{"example.net a.b.net.", "_a 1, b 1, exampl 1, net 2", "", "exampl 1, _exampl 0.4, net 1.5, _net 0.6, b 1, _b 0.4"},
		{"猫", "_猫 1", "_猫 1", "_猫 1"},
		{"猫猫を飼", "_を 1, _猫 2, _飼 1, を飼 1, 猫を 1, 猫猫 1", "", "猫猫 1, 猫を 1, を飼 1, _飼 0.5"},
		{strings.Repeat("a", 65), "aaaaaaaaaaaaaaaa…1yd5p59japs98 1", "", "aaaaaaaaaaaaaaaa…1yd5p59japs98 1"},
	} {
		terms := func(p Passage) string {
			var list []string
			for _, t := range new(Analyzer).Terms(p) {
				list = append(list, fmt.Sprint(strings.ReplaceAll(t.Text, " ", "_"), " ", t.Count))
			}
			slices.Sort(list)
			return strings.Join(list, ", ")
		}
		sorted := func(list string) string { s := strings.Split(list, ", "); slices.Sort(s); return strings.Join(s, ", ") }
		if got := terms(Passage{Text: c.text}); got != sorted(c.prose) {
			t.Errorf("prose %q has %q, want %q", c.text, got, c.prose)
		}
		if got := terms(Passage{Text: c.text, Code: true}); c.code != "" && got != sorted(c.code) {
			t.Errorf("code %q has %q, want %q", c.text, got, c.code)
		}
		var query []string
		for _, t := range QueryTerms(c.text) {
			query = append(query, fmt.Sprint(strings.ReplaceAll(t.Text, " ", "_"), " ", t.Weight))
		}
		if got := strings.Join(query, ", "); got != c.query {
			t.Errorf("query %q asks %q, want %q", c.text, got, c.query)
		}
	}
}

func TestTermsBesideWordsMakeATextNoLonger(t *testing.T) {
	if got := Length(new(Analyzer).Terms(Passage{Text: "What is the shape of café 1.5? The shape!"})); got != 5 {
		t.Errorf("Length = %d, want 5 for shape, café, 1, 5, shape", got)
	}
	if got := Length(nil); got != 1 {
		t.Errorf("Length of nothing = %d, want 1: it divides", got)
	}
	if got := Said(QueryTerms("the naïve café: 1.5 strs")); got != 7 {
		t.Errorf("Said = %d, want 7", got)
	}
}

func TestWordsOfAQueryWeighMoreIfTheyAreRepeated(t *testing.T) {
	got := QueryTerms("the shape of wings", "shapes, wing shape?")
	want := []QueryTerm{{Text: "shape", Weight: 1.8}, {Text: " shape", Weight: 0.72}, {Text: "wing", Weight: 1.5}, {Text: " wing", Weight: 0.6}}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-6)); diff != "" {
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
	const version = "4"
	p := Passage{Text: "Reserving: how db.getUserName_v2 reserves 3,5 leases für 東京都 in C# and .NET.", Lead: len("Reserving"), Context: "HTTPServer"}
	var got []string
	for _, term := range new(Analyzer).Terms(p) {
		got = append(got, fmt.Sprint(term.Text, " ", term.Count))
	}
	slices.Sort(got)
	got = append(got, Labels([]byte(`{"a":"x","n=":[1.50,true,12345678901234567890],"deep":{"b":1}}`))...)
	want := " .net 1,  3,5 1,  and 1,  fur 1,  how 1,  in 1,  京 1,  東 1,  都 1, 3 1, 5 1, c# 1, db 1, für 1, get 1, getusernamev2 1, http 1, httpserver 1, leas 1, name 1, net 1, reserv 5, server 1, user 1, v2 1, 京都 1, 東京 1, " +
		"a=sx, n===btrue, n===n1.5, n===n1234567890123456789e1"
	if list := strings.Join(got, ", "); list != want || version != IndexVersion {
		t.Errorf("version %s has\n%s, want version %s with\n%s", IndexVersion, list, version, want)
	}
}
