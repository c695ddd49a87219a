package storetest

import (
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
}
