package storetest

import (
	"fmt"
	"strings"

	"github.com/devmentor/ai-gateway/shared/rag"
)

var passageCases = []libraryCase{
	{"hits say what they stand under", func(r *reader) {
		markdown := "# Birds\n\n## Herons\n\nThey stand.\n\n### Feeding\n\n" + essay("herons") + "\n\n# Fish\n\nHerons eat fish.\n\n#### Bones\n\nHerons eat bones."
		python := "class Pond:\n    \"\"\"Herons.\"\"\"\n" + strings.Repeat("    herons = catch(herons)\n", 100)
		for _, d := range []rag.Document{
			{Key: rag.Key{ID: "md"}, Kind: rag.Markdown, Text: markdown},
			{Key: rag.Key{ID: "html"}, Kind: rag.HTML, Text: "<title>Marsh</title><p>Reeds.<h2>Plants &amp; birds</h2>Herons."},
			{Key: rag.Key{ID: "code"}, Kind: rag.Code, Language: "python", Text: python},
			{Key: rag.Key{ID: "text"}, Kind: rag.Text, Text: essay("herons")},
		} {
			d.Collection = "docs"
			if _, _, err := r.Put(r.Context(), r.tenant, d); err != nil {
				r.Fatal(err)
			}
		}
		for _, limit := range []int{40, 100} {
			seen := map[string]bool{}
			for _, h := range r.search(rag.Query{Collection: "docs", Text: "herons", Limit: limit}) {
				seen[h.ID+": "+h.Heading] = true
				if begins := strings.HasPrefix(h.Text, "### Feeding") || strings.HasPrefix(h.Text, "class Pond"); begins && strings.Contains(h.Heading, strings.Trim(h.Text[:10], "# ")) {
					r.Errorf("%q stands above a text that says so itself: %.40q", h.Heading, h.Text)
				}
			}
			for _, want := range []string{"md: ", "md: Birds > Herons", "md: Birds > Herons > Feeding", "md: Fish", "html: Marsh", "code: ", "code: class Pond:", "text: "} {
				if !seen[want] {
					r.Errorf("no hit is under %q", want)
				}
				delete(seen, want)
			}
			for more := range seen {
				r.Errorf("a hit is under %q", more)
			}
		}
	}},
	{"what is asked for twice matters more", func(r *reader) {
		r.put("docs", "bittern", "Bitterns.", "")
		r.put("docs", "egret", "Egrets.", "")
		r.finds(rag.Query{Collection: "docs", Text: "bitterns or egrets, bitterns"}, "bittern", "egret")
		r.finds(rag.Query{Collection: "docs", Text: "egrets or bitterns, egrets"}, "egret", "bittern")
	}},
	{"headings may be underlined", func(r *reader) {
		d := rag.Document{Key: rag.Key{Collection: "docs", ID: "a"}, Kind: rag.Markdown, Text: "Birds\n=====\n\nHerons\n------\n\nThey stand.\n\nStorks\n------\n\nThey fly."}
		if _, _, err := r.Put(r.Context(), r.tenant, d); err != nil {
			r.Fatal(err)
		}
		if hits := r.search(rag.Query{Collection: "docs", Text: "fly", Limit: 1}); len(hits) != 1 || hits[0].Heading != "Birds" || !strings.HasPrefix(hits[0].Text, "Storks") {
			r.Errorf("hits = %+v, want the section about storks", hits)
		}
	}},
	{"the word as it is written comes first", func(r *reader) {
		for i := range 30 {
			r.put("docs", fmt.Sprint("notes", i), fmt.Sprintf("Hours, position, second, temporary, maximum, delete: note %d.", i), "")
		}
		for id, text := range map[string]string{"hr": "Questions about holidays go to HR.", "sec": "The SEC filing is late.", "pos": "Of the till: a POS.", "temp": "The temp left.",
			"max": "Max came.", "del": "El libro del poeta."} {
			r.put("docs", id, text, "")
			for _, query := range []string{id, strings.ToUpper(id)} {
				r.finds(rag.Query{Collection: "docs", Text: query}, id)
			}
		}
		r.finds(rag.Query{Collection: "docs", Text: "SEC filing"}, "sec")
	}},
	{"code abbreviates", func(r *reader) {
		for id, text := range map[string]string{"short": "def one(x):\n    return str(x)", "long": "def two(x):\n    return to_string(x)", "else": "def three(x):\n    return x"} {
			if _, _, err := r.Put(r.Context(), r.tenant, rag.Document{Key: rag.Key{Collection: "docs", ID: id}, Kind: rag.Code, Language: "python", Text: text}); err != nil {
				r.Fatal(err)
			}
		}
		r.finds(rag.Query{Collection: "docs", Text: "str"}, "short", "long")
		r.finds(rag.Query{Collection: "docs", Text: "strings"}, "long", "short")
		r.finds(rag.Query{Collection: "docs", Text: "STR"}, "short")
	}},
	{"what is not there is not found", func(r *reader) {
		r.put("docs", "a", "Rest in a store; flashes of boundary layers.", "")
		for _, query := range []string{"rust", "flask", "storm", "boundery", "boundarry", "10.0.0.1"} {
			r.finds(rag.Query{Collection: "docs", Text: query})
		}
	}},
	{"words that all texts have are found if nothing else is asked for", func(r *reader) {
		r.put("docs", "who", "Guidelines of the WHO.", "")
		r.put("docs", "it", "Ask IT for a laptop.", "")
		r.put("docs", "will", "They who will, can: it is so.", "")
		r.finds(rag.Query{Collection: "docs", Text: "WHO"}, "who", "will")
		r.finds(rag.Query{Collection: "docs", Text: "it"}, "it", "will")
		r.finds(rag.Query{Collection: "docs", Text: "will"}, "will")
		r.finds(rag.Query{Collection: "docs", Text: "the laptop of will"}, "it")
		r.finds(rag.Query{Collection: "docs", Text: "laptops of the WHO"}, "who", "it")
	}},
	{"numbers that belong together", func(r *reader) {
		for _, n := range []string{"1.0.0.10", "0.0.1.10", "10.0.0.1", "10.1.0.0", "0.10.1.0"} {
			r.put("docs", n, "The server is "+n+" now.", "")
		}
		r.finds(rag.Query{Collection: "docs", Text: "10.0.0.1", Limit: 1}, "10.0.0.1")
		r.finds(rag.Query{Collection: "docs", Text: "server 0.10.1.0", Limit: 1}, "0.10.1.0")
		r.put("go", "old", "Built with 1.3.26, go.", "")
		r.put("go", "new", "Built with go1.26.3.", "")
		r.finds(rag.Query{Collection: "go", Text: "1.26.3"}, "new", "old")
		r.finds(rag.Query{Collection: "go", Text: "v1.3.26"}, "old", "new")
	}},
	{"languages whose names are a letter with signs", func(r *reader) {
		for id, text := range map[string]string{"c": "Memory in C: C has pointers. C, C, C.", "c++": "Memory in C++ has owners.", "c#": "Memory in C# is collected.", "f#": "Memory in F#.", "f": "Vitamin F.",
			".net": "Memory of .NET.", "net": "A net for the net income: net, net.", "asp": "Memory of ASP.NET."} {
			r.put("docs", id, text, "")
		}
		for _, query := range []string{"c", "c++", "c#", "f#", "f"} {
			r.finds(rag.Query{Collection: "docs", Text: query}, query)
			r.finds(rag.Query{Collection: "docs", Text: "How do I do it in " + strings.ToUpper(query) + "?"}, query)
		}
		r.finds(rag.Query{Collection: "docs", Text: ".NET"}, ".net", "asp", "net")
		r.finds(rag.Query{Collection: "docs", Text: "asp.net"}, "asp", "net", ".net")
		loop := rag.Document{Key: rag.Key{Collection: "code", ID: "loop"}, Kind: rag.Code, Language: "c++", Text: "for (c = 0; c < n; c++) {}"}
		if _, _, err := r.Put(r.Context(), r.tenant, loop); err != nil {
			r.Fatal(err)
		}
		r.finds(rag.Query{Collection: "code", Text: "c"}, "loop")
		r.finds(rag.Query{Collection: "code", Text: "C++"}, "loop")
	}},
	{"what reads alike is alike", func(r *reader) {
		for id, text := range map[string]string{"nfc": "\u00fcbung", "wide": "ＡＢＣ", "sharp": "Straße", "soft": "co\u00adoperation", "ligature": "ﬁnance", "kana": "ﾃﾞｰﾀ"} {
			r.put("docs", id, text, "")
		}
		for query, want := range map[string]string{"u\u0308bung": "nfc", "U\u0308BUNG": "nfc", "abc": "wide", "strasse": "sharp", "STRASSE": "sharp", "cooperation": "soft",
			"finances": "ligature", "データ": "kana", "ubung": "nfc"} {
			r.finds(rag.Query{Collection: "docs", Text: query}, want)
		}
		for id, text := range map[string]string{"bare": "cafe", "acute": "café", "grave": "cafè"} {
			r.put("accents", id, text, "")
		}
		for query, want := range map[string]string{"cafe": "bare", "café": "acute", "cafe\u0300": "grave"} {
			if hits := r.search(rag.Query{Collection: "accents", Text: query}); len(hits) != 3 || hits[0].ID != want || hits[0].Score <= hits[1].Score {
				r.Errorf("hits of %q = %+v, want %q before the others", query, hits, want)
			}
		}
	}},
	{"scripts without spaces", func(r *reader) {
		for id, text := range map[string]string{"cat": "猫はかわいい動物です。", "dog": "犬もかわいい。", "korean": "고양이는 귀엽다", "thai": "แมวน่ารัก", "khmer": "ឆ្មាគួរឱ្យស្រលាញ់"} {
			r.put("docs", id, text, "")
		}
		for query, want := range map[string]string{"猫": "cat", "猫を": "cat", "動物": "cat", "犬": "dog", "고양이": "korean", "แมว": "thai", "ឆ្មា": "khmer"} {
			r.finds(rag.Query{Collection: "docs", Text: query}, want)
		}
		r.finds(rag.Query{Collection: "docs", Text: "鳥"})
	}},
	{"words of any length", func(r *reader) {
		sum, other := strings.Repeat("0123456789abcdef", 8), strings.Repeat("0123456789abcdef", 7)+"fedcba9876543210"
		r.put("docs", "sum", "SHA-512 "+sum, "")
		r.put("docs", "other", other, "")
		r.put("docs", "name", "func TestThatTheGatewayKeepsAllOfTheWordsThatItIsGivenHoweverLongTheyAre(t)", "")
		r.finds(rag.Query{Collection: "docs", Text: strings.ToUpper(sum)}, "sum")
		r.finds(rag.Query{Collection: "docs", Text: other}, "other")
		r.finds(rag.Query{Collection: "docs", Text: "test_that_the_gateway_keeps_all_of_the_words_that_it_is_given_however_long_they_are"}, "name")
		r.finds(rag.Query{Collection: "docs", Text: "gateway words"}, "name")
	}},
}
