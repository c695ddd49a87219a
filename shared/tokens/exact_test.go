package tokens

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/pkoukk/tiktoken-go"
	"github.com/tiktoken-go/tokenizer/codec"
)

// references are a maintained library's encodings. It takes its vocabularies
// from the library that the generator takes them from, whose own way to split
// texts is not OpenAI's: it overlooks U+007F, and cuts "\n \n" in two.
var references = []struct {
	name   string
	ours   func() *encoding
	theirs func() *tiktoken.Tiktoken
}{
	{"o200k", o200k, sync.OnceValue(func() *tiktoken.Tiktoken { return library("o200k_base") })},
	{"cl100k", cl100k, sync.OnceValue(func() *tiktoken.Tiktoken { return library("cl100k_base") })},
}

func library(name string) *tiktoken.Tiktoken {
	tiktoken.SetBpeLoader(loader{})
	t, err := tiktoken.GetEncoding(name)
	if err != nil {
		panic(err)
	}
	return t
}

// loader spares the library a download.
type loader struct{}

func (loader) LoadTiktokenBpe(url string) (map[string]int, error) {
	c, n := codec.NewO200kBase(), uint(199_998)
	if strings.Contains(url, "cl100k") {
		c, n = codec.NewCl100kBase(), 100_256
	}
	ranks := map[string]int{}
	for id := range n {
		token, err := c.Decode([]uint{id})
		if err != nil {
			return nil, err
		}
		ranks[token] = int(id)
	}
	return ranks, nil
}

// sameTokens fails unless both encodings split text into the library's tokens.
func sameTokens(t *testing.T, name, text string) {
	t.Helper()
	for _, r := range references {
		want := r.theirs().EncodeOrdinary(text)
		var got []int
		r.ours().encode(text, endless, func(id uint32) { got = append(got, int(id)) })
		if !slices.Equal(got, want) {
			t.Errorf("%s: %s of %.60q (-library +ours):\n%.600s", name, r.name, text, cmp.Diff(want, got))
		}
	}
}

func endless(int, int) bool { return true }

var goRoot = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	return strings.TrimSpace(string(out)), err
})

func goSource(t testing.TB, name string) string {
	t.Helper()
	root, err := goRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "src", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTokensAreTheLibrarys(t *testing.T) {
	for name, text := range samples {
		sameTokens(t, name, text)
	}
	sameTokens(t, "Go", goSource(t, "net/http/transport.go"))
	sameTokens(t, "Unicode tables", goSource(t, "unicode/tables.go")[:60_000])
	for _, text := range []string{
		"", " ", "  ", "\n", " \n ", "a", " a", "  a", "\t\ta", "a  ", "a \n", "\r\n\r\n  x", "I'm I'LL they'vE 'S 'ſ x'ſy '", "it's 'tis ''re",
		"GoLang HTTPServer iPhone XMLHttpRequest ABC abcDEF ABCdEf", "1234567 12.5e-7 ١٢٣٤ ½²³", "\u0301\"A", "a\u0301\u0301B \u0301A \u0301a \u0301 x\u0301Y", "ǅungla ǅ ʰAʰ",
		"//// /// a/b/c //\n\n//", "....\n/\r\n", "\u00a0a\u2003b\u3000c \u0085", "日本語テキスト한국어中文ABC", "👩‍👩‍👧‍👦🏳️‍🌈🇩🇪", "<|endoftext|>", "\x00\x01\x7f", "0\n \n0", " \n  \n\n \n", "𝐀𝐁𝐜𐐀𐐨𝟘𝟙", "\ufeffx", "\ufffd\ufffd",
	} {
		sameTokens(t, "edge", text)
	}
	for n := range 200 { // both ways to merge, and both sides of the bound between them
		sameTokens(t, "length", strings.Repeat("zq", n)+"x")
		sameTokens(t, "length", strings.Repeat("é", n))
	}
}

// TestEveryCharacterIsClassedAsTheLibraryDoes puts characters where they decide
// how pieces are cut: those at which classes change, and of the others some.
func TestEveryCharacterIsClassedAsTheLibraryDoes(t *testing.T) {
	var b strings.Builder
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) || r > 0x32000 && r < 0xE0000 || r > 0xE0200 { // unassigned, or private
			continue
		}
		if c := classOf(r); r%16 != 0 && c == classOf(r-1) && c == classOf(r+1) {
			continue
		}
		b.WriteString("a")
		b.WriteRune(r)
		b.WriteString("B ")
		b.WriteRune(r)
		if b.Len() > 4096 {
			sameTokens(t, "characters", b.String())
			b.Reset()
		}
	}
	sameTokens(t, "characters", b.String())
}

func classOf(r rune) class {
	c, _ := reader{string(r), classes()}.at(0)
	return c
}

func FuzzTokensAreTheLibrarys(f *testing.F) {
	for _, text := range samples {
		f.Add(text[:min(len(text), 300)])
	}
	f.Add("AʰB\u0301C'S/\r\n \u2028 12345")
	f.Fuzz(func(t *testing.T, text string) {
		if utf8.ValidString(text) {
			sameTokens(t, "fuzz", text)
		}
	})
}
