package sqltext

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// joined are words that follow an alias as keywords all the same, and words that
// are reserved wherever the rest of the statement may be written that way.
var joined = map[string]string{
	"select * from a {} left join b on a = 1":                                                 "natural",
	"select * from (select 1) {} left join b on a = 1":                                        "natural",
	"select * from f(x) {} left join b on a = 1":                                              "natural",
	"merge into a {} using b on c = 1 when matched and {} = 1 then update set d = {}, {} = 1": "using",
	"delete {} from a {} join b on c = 1":                                                     "cross full left natural right",
	"vacuum full {}":                                                                          "analyze freeze full verbose",
	"alter table a add {} int":                                                                "column constraint unique",
	"alter table a add {} varchar(64)":                                                        "column constraint unique",
	"alter table a add {} text, add b int":                                                    "column constraint unique",
	"alter table a add b int, {} varchar(10)":                                                 "add alter drop",
	"alter table a add b int, {} int not null":                                                "add alter drop",
	"alter table a alter {} type text":                                                        "column",
	"alter table a modify {} int":                                                             "column",
	"alter table a change {} b int":                                                           "column",
	"create table a ({} text check (length({}) > 1), b int)":                                  "constraint",
}

// words are all that the package looks for, but those that are reserved.
func words(t *testing.T) []string {
	var list []string
	for _, name := range []string{"words.go", "phrases.go", "keywords.go"} {
		file, err := parser.ParseFile(gotoken.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == gotoken.STRING {
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, strings.FieldsFunc(text, func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') })...)
			}
			return true
		})
	}
	slices.Sort(list)
	return slices.DeleteFunc(slices.Compact(list), func(w string) bool { return reserved[w] })
}

// TestNamesKeepTheirCase: whatever is a keyword somewhere is none where a name
// stands, at {} in the statements of testdata/names.txt: that of a table, an
// alias, a query, a column, a label, a function and the like.
func TestNamesKeepTheirCase(t *testing.T) {
	words := words(t)
	if len(words) < 200 {
		t.Fatalf("%d words", len(words))
	}
	file, err := os.ReadFile("testdata/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	templates := strings.Split(strings.TrimSpace(string(file)), "\n")
	formatted := 0
	for _, template := range templates {
		places := places(template)
		for _, word := range words {
			in := strings.ReplaceAll(template, "{}", word) + ";"
			got, ok := lex(in).layout()
			if !ok {
				continue
			}
			formatted++
			after := lex(got).tokens
			kept := !slices.ContainsFunc(places, func(i int) bool { return after[i].text != word })
			if want := !slices.Contains(strings.Fields(joined[template]), word); kept != want {
				t.Errorf("layout(%q) = %q", in, got)
			}
		}
	}
	if min := len(words) * len(templates) * 9 / 10; formatted < min {
		t.Errorf("%d statements formatted, want %d", formatted, min)
	}
}

// places returns which tokens of the template are {}.
func places(template string) (list []int) {
	for i, t := range lex(strings.ReplaceAll(template, "{}", "xxxx")).tokens {
		if t.text == "xxxx" {
			list = append(list, i)
		}
	}
	return list
}
