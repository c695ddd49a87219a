package sqltext

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLayout: every testdata/*.sql is formatted as the .out beside it.
func TestLayout(t *testing.T) {
	files, err := filepath.Glob("testdata/*.sql")
	if err != nil || len(files) < 10 {
		t.Fatalf("Glob = %v, %v", files, err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			in, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(name, ".sql") + ".out")
			if err != nil {
				t.Fatal(err)
			}
			got, ok := Format(string(in))
			if diff := cmp.Diff(string(want), got); !ok || diff != "" {
				t.Errorf("Format, %v: (-want +got)\n%s", ok, diff)
			}
			if again, ok := Format(got); !ok || again != got {
				t.Errorf("Format again: %s", cmp.Diff(got, again))
			}
			if pos, message := Check(string(in)); message != "" {
				t.Errorf("Check = %d, %q", pos, message)
			}
		})
	}
}

// TestQueriesHaveOneForm: queries look the same however they were broken into
// lines.
func TestQueriesHaveOneForm(t *testing.T) {
	for _, name := range []string{"testdata/queries.out", "testdata/analytics.out"} {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for s := range strings.SplitSeq(string(want), "\n\n") {
			s, _, _ = strings.Cut(s, ";\n") // short statements may stand together
			s = strings.TrimSuffix(s, ";") + ";\n"
			if verb, _, _ := strings.Cut(s, "\n"); !strings.Contains("SELECT WITH INSERT UPDATE DELETE", strings.Fields(verb)[0]) {
				continue // the others keep the lines of their authors
			}
			n++
			for _, in := range []string{strings.Join(strings.Fields(s), " "), strings.ReplaceAll(s, "\n", "\n\t\t"), strings.ReplaceAll(strings.ReplaceAll(s, "SELECT ", "select\n"), ", ", "\n,")} {
				if got, ok := Format(in); !ok || !strings.EqualFold(got, s) {
					t.Errorf("Format(%q), %v: (-want +got)\n%s", in, ok, cmp.Diff(s, got))
				}
			}
		}
		if n < 10 {
			t.Errorf("%s: %d queries", name, n)
		}
	}
}

// TestStaysWhereDialectsDiffer: what is read differently by some dialect is
// left as it is, and nothing in it is called an error.
func TestStaysWhereDialectsDiffer(t *testing.T) {
	for _, tc := range []struct{ name, in string }{
		{"a backslash before a quotation mark", `select 'it\'s' , 1;`},
		{"a backslash at the end of a string", `select 'c:\' , 'd';`},
		{"Oracle's quotation", "select q'[it's]' from dual;"},
		{"BigQuery's three marks", "select '''it's''';"},
		{"a nested comment", "select /* a /* b */ c */ 1;"},
		{"a comment or a temporary table", "select  a from #t where b = 1;"},
		{"a comment or an operator", "select  a # b\nfrom t;"},
		{"a name of Oracle", "select  sid, serial# from v$session;"},
		{"a command for psql", "select  1;\n\\echo don't\n"},
		{"data for psql", "copy t  from stdin;\n1\tit's\n\\.\n"},
		{"DELIMITER", "DELIMITER $$\ncreate  procedure p() begin select 'a'; end$$\n"},
		{"a command for sqlite3", ".mode  csv\nselect 1;"},
		{"a template", "select  {{ column }} from t;"},
		{"a macro", "{% if x %}\nselect  1\n{% endif %}"},
		{"a parameter of Python", "select  * from t where id = %s and (a = %(b)s;"},
		{"a variable of sqlcmd", "use  $(db);"},
		{"a comment of Snowflake", "select  1; // don't\n"},
		{"a comment after GO", "select  1\nGO -- it's\nselect 2"},
		{"SQL*Plus", "PROMPT it's  here\nselect 1;"},
		{"SQL*Plus's SET", "SET SERVEROUTPUT ON\nselect  1;"},
		{"two signs or a comment", "select 1\n--it's\n, 2;"},
		{"brackets that end in two places", "select  [a] [[b]] from t;"},
		{"a comment in brackets", "select  a[1 -- ]\n];"},
		{"a backslash in brackets", `select  a['it\'s', ']'];`},
		{"a statement that ends in brackets", "select  a[1; select 2];"},
		{"brackets that do not end", "select  a[1;"},
		{"a comment that looks like an operator", "select  a #> b\nfrom t;"},
		{"a path of Snowflake", "select  $1 from @stage/path/file.csv"},
		{"a path in a schema", "copy into  t from @d.s.stage/2024/01/"},
		{"a path in a name with quotation marks", "select  * from @\"S\".\"t\"/a.gz"},
		{"a path of a user", "copy into  t from @~/a/b"},
		{"a path of a table", "copy into  t from @%t/a"},
		{"a path of a table in a schema", "copy into  t from @s.%t/a"},
		{"a path with a number", "put  'x' @s/1"},
		{"a path with a date", "create table  t location=@s/2024/1"},
		{"a path that ends", "copy into  @s/"},
		{"a name of Oracle before an operator", "select  serial#>1 from v"},
		{"two kinds of line breaks", "select  1;\r\nselect 2;\n"},
		{"form feed", "select \f 1;"},
	} {
		if got, ok := Format(tc.in); ok {
			t.Errorf("%s: formatted as %q", tc.name, got)
		}
		if pos, message := Check(tc.in); message != "" {
			t.Errorf("%s: Check = %d, %q", tc.name, pos, message)
		}
	}
}

// TestKeepsMeaning: space and case that mean something in some dialect stay.
func TestKeepsMeaning(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"strings across a line break", "select 'a'\n  'b';", "SELECT\n  'a'\n  'b';\n"},
		{"strings in a line", "select 'a'   'b';", "SELECT 'a' 'b';\n"},
		{"two minus signs", "select - -1, a - -b, 1--2\n, 3;", "SELECT\n  - -1,\n  a - -b,\n  1 --2\n  , 3;\n"},
		{"prefixes of strings", "select e'a\\'b', e 'a', N'x', x 'ff', _utf8'x', date '2020-01-01', u&'\\0041';", "SELECT e'a\\'b', e 'a', N'x', x 'ff', _utf8'x', date '2020-01-01', u&'\\0041';\n"},
		{"dots", "select a . b, 1 .. 2, .5, 1.5e-3, 1-1;", "SELECT a . b, 1 .. 2, .5, 1.5e-3, 1 - 1;\n"},
		{"casts", "select $1 ::int, a::text, ?::int;", "SELECT $1 ::int, a::text, ?::int;\n"},
		{"calls", "select count (*), count(*), max( a ),left (a,1);", "SELECT count (*), count(*), max(a), left (a, 1);\n"},
		{"names that are keywords elsewhere", "select key, value, u.select, \"from\", `where`, [group], date, type from t as u;", "SELECT key, value, u.select, \"from\", `where`, [group], date, type\nFROM t AS u;\n"},
		{"names after keywords", "create table type (key text, value text, index int, comment text, desc text);", "CREATE TABLE type (\n  key text,\n  value text,\n  index int,\n  comment text,\n  desc text\n);\n"},
		{"operators of one dialect", "select a@>b, a<@b, a->>'x', a #>> '{b}', a||-1, a!=-1, a|/b;", "SELECT a @> b, a<@b, a->>'x', a #>> '{b}', a||-1, a!=-1, a|/b;\n"},
		{"variables", "select @a, @@rowcount, :b, a=@c, a<@d, a>=:e, b=?;", "SELECT @a, @@rowcount, :b, a = @c, a<@d, a >= :e, b = ?;\n"},
		{"arrays and names in brackets", "select a[1], array['a','b'], [x y] from [dbo].[t];", "SELECT a[1], array['a','b'], [x y]\nFROM [dbo].[t];\n"},
		{"names with dashes", "select a-b from my-project.d.t;", "SELECT a-b\nFROM my-project.d.t;\n"},
		{"arrays in arrays", "select array[[1,2],[3, 4]], a[b[1]];", "SELECT array[[1,2],[3, 4]], a[b[1]];\n"},
		{"names after names", "select a desc, b asc from t order by a desc, b asc;", "SELECT a desc, b asc\nFROM t\nORDER BY a DESC, b ASC;\n"},
		{"names after calls", "select f(x) over, g(x) filter from t;", "SELECT f(x) over, g(x) filter\nFROM t;\n"},
		{"hints", "select /*+ hash(a) */ a from t;", "SELECT /*+ hash(a) */ a\nFROM t;\n"},
		{"a comment in front of a comma", "select a -- x\n, b;", "SELECT\n  a -- x\n  , b;\n"},
		{"a function and a clause", "insert into t(a) values(1) on duplicate key update a=values(a), b=greatest(values(b),1);", "INSERT INTO t (a)\nVALUES (1)\nON DUPLICATE KEY UPDATE a = values(a), b = greatest(values(b), 1);\n"},
		{"line breaks of Windows", "select 1;\r\nselect 'a\r\nb';", "SELECT 1;\r\n\r\nSELECT 'a\r\nb';\r\n"},
		{"variables that are divided", "select @a/@b, @a/(1+2), @a/2*3, @a / b;", "SELECT @a / @b, @a / (1 + 2), @a / 2 * 3, @a / b;\n"},
		{"operators next to a path", "select data#>>'{a,b}', data #> '{a}';", "SELECT data#>>'{a,b}', data #> '{a}';\n"},
		{"types in types", "create table t (a array<struct<name string,qty numeric(10,2)>> not null, b map< string , int >);", "CREATE TABLE t (\n  a array<struct<name string, qty numeric(10, 2)>> NOT NULL,\n  b map<string, int>\n);\n"},
		{"values of types", "select array<int64>[1], struct<a int64>(1), cast(x as array<string>), array<b and c>d, a<b, map <c;", "SELECT\n  array<int64>[1],\n  struct<a int64>(1),\n  cast(x AS array<string>),\n  array < b AND c > d,\n  a < b,\n  map < c;\n"},
		{"a pattern of rows", "select  * from t match_recognize (\n  pattern (a b+)\n  define a as x>1);", "select  * from t match_recognize (\n  pattern (a b+)\n  define a as x>1);\n"},
		{"a block in the line of a statement", "select 1; if @x > 0\n  print 'a';\n  if @y > 0 print 'b'", "SELECT 1;\nif @x > 0\n  print 'a';\n  if @y > 0 print 'b'\n"},
		{"batches", "select 1\ngo\nselect 2\nGO\n", "SELECT 1\ngo\nSELECT 2\nGO\n"},
		{"batches that are repeated", "insert into a default values\nGO 5\n", "INSERT INTO a DEFAULT VALUES\nGO 5\n"},
		{"statements without semicolons", "select 1\nselect 2\n", "select 1\nselect 2\n"},
		{"a body in dollars", "create function f() returns int as $f$ select  1 $f$ language sql;", "CREATE FUNCTION f() RETURNS int AS $f$ select  1 $f$ LANGUAGE sql;\n"},
		{"a comment between a clause and its list", "select a from t where -- x\na = 1;", "SELECT a\nFROM t\nWHERE -- x\n  a = 1;\n"},
		{"half a merge", "merge a using b on", "MERGE a\nUSING b\nON\n"},
		{"a statement that is a comment for some", "/*!40101 set names utf8 */;", "/*!40101 set names utf8 */;\n"},
		{"words next to what ends alone", "select(a)from t where(b)and'c'is null;", "SELECT (a)\nFROM t\nWHERE (b)\n  AND 'c' IS NULL;\n"},
		{"oracle's outer join", "select a from b, c where b.x=c.x(+);", "SELECT a\nFROM b, c\nWHERE b.x = c.x(+);\n"},
	} {
		got, ok := Format(tc.in)
		if !ok || got != tc.want {
			t.Errorf("%s: Format = %q, %v, want %q", tc.name, got, ok, tc.want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"a string", "select 1;\nselect 'abc;\n", "17 the string is not closed"},
		{"a quoted name", "select \"abc;\n", "7 the quoted name is not closed"},
		{"a name between backticks", "select `abc;\n", "7 the quoted name is not closed"},
		{"a comment", "select 1;\n/* abc\n", "10 the comment is not closed"},
		{"a body", "do $x$ begin end $y$;", "3 the text after $x$ is not closed"},
		{"a parenthesis", "select (1;\nselect 2;\n", "7 the parenthesis is not closed"},
		{"the last one that is open", "select (a, (b);\n", "7 the parenthesis is not closed"},
		{"too many parentheses", "select (1));\n", "10 the parenthesis closes nothing"},
		{"nothing", "select 1", ""},
		{"no SQL at all", "hello there", ""},
		{"empty", "", ""},
		{"a smiley in a comment", "select 1; -- :(\n", ""},
		{"a rule with two statements", "create rule r as on insert to t do also (insert into a values (1); delete from b);", ""},
	} {
		pos, got := Check(tc.in)
		if got != "" {
			got = fmt.Sprintf("%d %s", pos, got)
		}
		if got != tc.want {
			t.Errorf("%s: Check = %q, want %q", tc.name, got, tc.want)
		}
		if _, ok := Format(tc.in); ok && tc.want != "" {
			t.Errorf("%s: formatted all the same", tc.name)
		}
	}
}

// TestSame: the proof refuses what could be read differently.
func TestSame(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"select a,b from t", "SELECT a, b\nFROM t", true},
		{"select a", "SELECT A", true}, // the roles of words are not judged here
		{"select a", "select b", false},
		{"select 'a'", "select 'A'", false},
		{"select Abc", "select abc", false},
		{"select 'a' 'b'", "select 'a'\n'b'", false},
		{"select 'a'\n'b'", "select 'a' 'b'", false},
		{"select count(*)", "select count (*)", false},
		{"select count (*)", "select count(*)", false},
		{"select a.b", "select a .b", false},
		{"select e'x'", "select e 'x'", false},
		{"select e 'x'", "select e'x'", false},
		{"select - -1", "select --1", false},
		{"select a -- b\n, c", "select a -- b, c", false},
		{"select a -- b\n, c", "select a, c -- b", false},
		{"select a in(1)", "select a in (1)", true},
		{"insert into t(a) select 1", "insert into t (a) select 1", true},
		{"insert into a.t(a) select 1", "insert into a.t (a) select 1", true},
		{"select a::int", "select a :: int", false},
		{"select f( 1 )", "select f(1)", true},
		{"select a<@b", "select a <@b", false},
		{"select a;", "select a", false},
		{"select a;", "select a; select '", false},
	} {
		if got := same(lex(tc.a), lex(tc.b)); got != tc.want {
			t.Errorf("same(%q, %q) = %v", tc.a, tc.b, got)
		}
	}
}

// Fuzz: what is formatted keeps its tokens and is not changed again.
func Fuzz(f *testing.F) {
	files, _ := filepath.Glob("testdata/*")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for s := range strings.SplitAfterSeq(string(text), ";\n") {
			f.Add(s)
		}
	}
	f.Fuzz(func(t *testing.T, in string) {
		Check(in)
		got, ok := Format(in)
		if !ok {
			return
		}
		if squeezed(got) != squeezed(in) {
			t.Errorf("%q became %q", in, got)
		}
		if again, ok := Format(got); !ok || again != got {
			t.Errorf("%q, and a second time %q", got, again)
		}
	})
}

// squeezed is the text without space and case.
func squeezed(s string) string {
	return strings.ToLower(strings.Join(strings.Fields(s), ""))
}
