//go:build unix

package sqltext

import (
	"fmt"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/growthtest"
)

// hostile are texts of which the middle is repeated: each was once looked at again
// from every token.
var hostile = []struct{ begin, unit, end string }{
	{"merge into a using b on c ", "when x ", ""},
	{"insert into a select b ", "on conflict ", ""},
	{"", "create function f() as\nselect 1;\n", "create function f() as $$ x $$;"},
	{"", "create function f() as\nselect 1;\n", "create function f() as\n'x';"},
	{"select ", "a[b[1]]", ""},
	{"select 1 ", "+/*+*/", ""},
	{"select a ", "#>'{a}'", ""},
	{"select ", strings.Repeat("(", 60) + "1" + strings.Repeat(")", 60) + ",", "1"},
	{"select ", "a,\n", "a"},
	{"", ";", ""},
	{"", "begin if a ", ""},
	{"select ", "'''", ""},
	{"go\ninsert into t values (1) ", "on conflict (", ""},
	{"insert into t values (1) ", "on conflict (a, b) ", ""},
	{"select ", "array<", ""},
	{"select ", "array<a,", ""},
	{"go\ncreate table t (a int, ", "key a (b, ", ""},
	{"create table t (", "key a (b, c), ", "d int)"},
	{"select * from a ", "left ", ""},
	{"select @a.b", "/c@a.b", ""},
	{"go\nselect a from b ", "start with (", ""},
	{"go\nexplain ", "(", ""},
	{"go\nwith a as ", "(insert into b ", ""},
}

// TestTimeGrowsWithSize, and not with its square.
func TestTimeGrowsWithSize(t *testing.T) {
	for _, h := range hostile {
		growthtest.Linear(t, fmt.Sprintf("%.30q", h.unit), 3_000, func(size int) func() {
			text := h.begin + strings.Repeat(h.unit, size/len(h.unit)) + h.end
			return func() {
				Check(text)
				Format(text)
			}
		})
	}
}

func BenchmarkHostile(b *testing.B) {
	for _, h := range hostile {
		for _, size := range []int{16 << 10, 128 << 10} {
			text := h.begin + strings.Repeat(h.unit, size/len(h.unit)) + h.end
			b.Run(fmt.Sprintf("%.12q/%dKB", h.unit, size>>10), func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					Check(text)
					Format(text)
				}
			})
		}
	}
}

// TestHugeStatementsKeepTheirLines: they would cost much, and grow, and nobody
// reads them.
func TestHugeStatementsKeepTheirLines(t *testing.T) {
	wrapped := func(levels int) string {
		return "select " + strings.Repeat("f(", levels) + "a" + strings.Repeat(")", levels) + ";\n"
	}
	rows := func(n int) string { return "insert into t values " + strings.Repeat("(1, 2),  ", n-1) + "(1, 2);\n" }
	for _, tc := range []struct {
		name, in string
		stays    bool
	}{
		{"some levels", wrapped(maxLevels - 2), false},
		{"too many levels", wrapped(maxLevels), true},
		{"some rows", rows(maxNodes/2 - 2), false},
		{"too many rows", rows(maxNodes), true},
	} {
		got, ok := Format(tc.in + "select  1;")
		if !ok || !strings.HasSuffix(got, "SELECT 1;\n") {
			t.Errorf("%s: Format = %.40q, %v, want the statement after it formatted", tc.name, got, ok)
		}
		if stays := strings.HasPrefix(got, tc.in); stays != tc.stays {
			t.Errorf("%s: Format = %.40q, want it as it was: %v", tc.name, got, tc.stays)
		}
	}
	deep := strings.Repeat("(", 60) + strings.Repeat("a,\n", 2000) + "a" + strings.Repeat(")", 60)
	if got, ok := Format("select " + deep); ok {
		t.Errorf("%d bytes of lists in lists become %d", len(deep), len(got))
	}
}

// TestBodiesEndWithTheirStatements: the text of one function says nothing about
// the one before, whose own statements have begun.
func TestBodiesEndWithTheirStatements(t *testing.T) {
	in := "create procedure p as\nselect  1;\nselect  2;\ncreate function f() returns int as $$ select 3 $$;\n"
	if got, ok := Format(in); !ok || got != in {
		t.Errorf("Format = %q, %v, want it as it was: the procedure may go on", got, ok)
	}
	in = "create function f() returns int as\n$$ select 3 $$ language  sql;\nselect  1;\n"
	want := "CREATE FUNCTION f() RETURNS int AS\n$$ select 3 $$ LANGUAGE sql;\n\nSELECT 1;\n"
	if got, ok := Format(in); !ok || got != want {
		t.Errorf("Format = %q, %v, want %q", got, ok, want)
	}
}

// TestHeadsOfClauses: a word of the head is looked for up to the next one.
func TestHeadsOfClauses(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"merge into a using b on a.x=b.x when matched and b.y then update set y=b.y when not matched then insert (x) values (b.x) when matched then delete;",
			"MERGE INTO a\nUSING b\nON a.x = b.x\nWHEN MATCHED AND b.y THEN\n  UPDATE SET y = b.y\nWHEN NOT MATCHED THEN\n  INSERT (x)\n  VALUES (b.x)\nWHEN MATCHED THEN DELETE;\n"},
		{"insert into a values (1) on conflict (x) where y do nothing;", "INSERT INTO a\nVALUES (1)\nON CONFLICT (x) WHERE y DO NOTHING;\n"},
		{"insert into a values (1) on conflict on constraint c do update set x=1;", "INSERT INTO a\nVALUES (1)\nON CONFLICT ON CONSTRAINT c DO UPDATE SET x = 1;\n"},
	} {
		if got, ok := Format(tc.in); !ok || got != tc.want {
			t.Errorf("Format(%q) = %q, %v, want %q", tc.in, got, ok, tc.want)
		}
	}
}
