package rag

import (
	"html"
	"strings"
)

var (
	// unread are elements whose content nobody reads, and raw those of them whose
	// content has no tags.
	unread = set("noscript object svg template script style iframe")
	raw    = set("script style iframe")
	// void are elements without content, which have no end.
	void = set("area base br col embed hr img input link meta source track wbr")
	// blocks are elements that begin a line.
	blocks = set(`address article aside blockquote br dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr li
	main nav ol p pre section summary table tbody tfoot thead tr ul`)
	// ends are the elements that end where another begins, if nothing else has
	// ended them: their end tags may be left out.
	ends = map[string]map[string]bool{
		"li": set("li"), "dt": set("dt dd"), "dd": set("dt dd"), "td": set("td th"), "th": set("td th"), "tr": set("td th tr"),
		"tbody": set("td th tr thead tbody"), "tfoot": set("td th tr tbody"), "option": set("option"), "optgroup": set("option optgroup"),
	}
)

// htmlText returns what a page says, as Markdown: the title and headings keep
// their level, preformatted text is fenced. What browsers do not show, or what
// they do not read aloud, is left out. It reads whatever it is given, as
// browsers do.
func htmlText(page string) string {
	r := reader{has: map[string]int{}}
	for page != "" {
		start := strings.IndexByte(page, '<')
		if start < 0 {
			start = len(page)
		}
		r.text(page[:start])
		if page = page[start:]; page == "" {
			break
		}
		if rest, ok := strings.CutPrefix(page, "<!--"); ok {
			_, page, _ = strings.Cut(rest, "-->")
			continue
		}
		t, after := parseTag(page)
		if t.name == "" { // a lone '<'
			r.text("<")
			page = page[1:]
			continue
		}
		page = after
		switch {
		case t.closing:
			r.close(t.name)
		case raw[t.name]:
			_, page = content(page, t.name)
		case t.name == "title" && r.hides == 0:
			var title string
			title, page = content(page, t.name)
			r.title(title)
		default:
			r.open(t)
		}
	}
	return r.markdown()
}

// reader is what has been read of a page.
type reader struct {
	b       strings.Builder
	heading string          // the title, as a heading
	space   bool            // owed before the next word
	pre     strings.Builder // the preformatted text that is being read
	stack   []string        // the elements that are open
	has     map[string]int  // how often each is
	hides   int             // which of them hides what is in it, from 1; 0 for none
}

func (r *reader) inLine() bool { return r.b.Len() > 0 && !strings.HasSuffix(r.b.String(), "\n") }

// text writes what is between two tags.
func (r *reader) text(s string) {
	switch {
	case s == "" || r.hides > 0:
	case r.has["pre"] > 0:
		r.pre.WriteString(html.UnescapeString(s))
	default:
		if strings.ContainsAny(s[:1], " \t\n\f") && r.inLine() {
			r.space = true
		}
		for _, word := range strings.Fields(html.UnescapeString(s)) {
			if r.space {
				r.b.WriteByte(' ')
			}
			r.b.WriteString(word)
			r.space = true
		}
		r.space = strings.ContainsAny(s[len(s)-1:], " \t\n\f") && r.inLine()
	}
}

// title notes the first title: it is the page's, and a heading above all others.
func (r *reader) title(s string) {
	if words := strings.Fields(html.UnescapeString(s)); r.heading == "" && len(words) > 0 {
		r.heading = "# " + strings.Join(words, " ")
	}
}

func (r *reader) open(t tag) {
	for len(r.stack) > 0 && (ends[t.name][r.top()] || r.top() == "p" && blocks[t.name] && t.name != "br") {
		r.pop()
	}
	hides := r.hides == 0 && t.hidden()
	if r.hides == 0 && !hides {
		r.begin(t)
	}
	if void[t.name] {
		return
	}
	r.stack = append(r.stack, t.name)
	r.has[t.name]++
	if hides {
		r.hides = len(r.stack)
	}
}

// begin writes what comes before an element's content.
func (r *reader) begin(t tag) {
	switch name := t.name; {
	case blocks[name]:
		r.newlines(name)
		if len(name) == 2 && name[0] == 'h' && '1' <= name[1] && name[1] <= '6' && r.has["pre"] == 0 {
			r.b.WriteString("######"[:name[1]-'0'] + " ")
		}
	case name == "td" || name == "th":
		r.space = r.inLine()
	case name == "img" || name == "area" || name == "input":
		if alt, ok := t.attribute("alt"); ok && strings.TrimSpace(alt) != "" {
			r.text(" " + alt + " ")
		}
	}
}

// close ends the last element of that name, and what is still open in it. An
// end without a beginning ends nothing.
func (r *reader) close(name string) {
	hides := r.hides
	for open := r.has[name]; open > 0 && r.has[name] == open; {
		r.pop()
	}
	if blocks[name] && (hides == 0 || hides > len(r.stack)+1) {
		r.newlines(name)
	}
}

func (r *reader) top() string { return r.stack[len(r.stack)-1] }

func (r *reader) pop() {
	name := r.top()
	r.stack = r.stack[:len(r.stack)-1]
	if r.has[name]--; name == "pre" && r.has[name] == 0 {
		r.fence()
	}
	if len(r.stack) < r.hides {
		r.hides = 0
	}
}

// fence writes preformatted text, in which a line that begins with '#' is no
// heading.
func (r *reader) fence() {
	text, mark := strings.TrimRight(r.pre.String(), " \t\n"), "```"
	r.pre.Reset()
	if strings.TrimSpace(text) == "" {
		return
	}
	if strings.Contains(text, mark) {
		mark = "~~~"
	}
	r.b.WriteString(mark + "\n" + strings.TrimPrefix(text, "\n") + "\n" + mark + "\n")
}

// newlines ends the line, or the paragraph.
func (r *reader) newlines(name string) {
	r.space = false
	if r.has["pre"] > 0 {
		r.pre.WriteByte('\n')
		return
	}
	want := "\n\n"
	switch name {
	case "br", "li", "tr", "dt", "dd":
		want = "\n"
	}
	for text := r.b.String(); text != "" && !strings.HasSuffix(text, want); text = r.b.String() {
		r.b.WriteByte('\n')
	}
}

// markdown is all that was read. A title that the first heading repeats is left
// out.
func (r *reader) markdown() string {
	r.fence()
	text := strings.TrimSpace(r.b.String())
	if rest, ok := strings.CutPrefix(text, r.heading); r.heading == "" || ok && (rest == "" || rest[0] == '\n') {
		return text
	}
	return strings.TrimSpace(r.heading + "\n\n" + text)
}

// tag is what stands between '<' and '>'.
type tag struct {
	name       string // in lower case; "" if it is none
	closing    bool
	attributes string
}

// parseTag reads the tag that page begins with.
func parseTag(page string) (t tag, after string) {
	i := 1
	if t.closing = i < len(page) && page[i] == '/'; t.closing {
		i++
	}
	start := i
	for i < len(page) && (isWord(rune(page[i])) || page[i] == '-') && page[i] < 0x80 {
		i++
	}
	t.name = strings.ToLower(page[start:i])
	if t.name == "" {
		if i == len(page) || page[i] != '!' && page[i] != '?' {
			return tag{}, page
		}
		t.name = "!"
	}
	start = i
	last := byte(0) // that is no space: quotes begin after '='
	for quote := byte(0); i < len(page); i++ {
		switch c := page[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case (c == '"' || c == '\'') && last == '=':
			quote = c
		case c == '>':
			t.attributes = page[start:i]
			return t, page[i+1:]
		}
		if c := page[i]; c != ' ' && c != '\t' && c != '\n' && c != '\f' {
			last = c
		}
	}
	return t, ""
}

// attribute returns the value of an attribute, "" if it has none.
func (t tag) attribute(name string) (value string, ok bool) {
	const spaces = " \t\n\f/"
	for rest := strings.Trim(t.attributes, spaces); rest != ""; rest = strings.TrimLeft(rest, spaces) {
		end := strings.IndexAny(rest, "= \t\n\f/")
		if end < 0 {
			return "", strings.EqualFold(rest, name)
		}
		this := rest[:end]
		rest = strings.TrimLeft(rest[end:], " \t\n\f")
		if !strings.HasPrefix(rest, "=") {
			value = ""
		} else if rest = strings.TrimLeft(rest[1:], " \t\n\f"); rest != "" && (rest[0] == '"' || rest[0] == '\'') {
			value, rest, _ = strings.Cut(rest[1:], rest[:1])
		} else {
			end := strings.IndexAny(rest, " \t\n\f")
			if end < 0 {
				end = len(rest)
			}
			value, rest = rest[:end], rest[end:]
		}
		if strings.EqualFold(this, name) {
			return html.UnescapeString(value), true
		}
	}
	return "", false
}

// hidden says whether an element is not shown, or not read aloud because it only
// repeats or adorns. Who hides a whole page until a script has run wants it read.
func (t tag) hidden() bool {
	if t.attributes == "" || t.name == "html" || t.name == "body" {
		return unread[t.name]
	}
	if v, ok := t.attribute("hidden"); ok && !strings.EqualFold(v, "until-found") {
		return true
	}
	if v, _ := t.attribute("aria-hidden"); strings.EqualFold(v, "true") {
		return true
	}
	style, _ := t.attribute("style")
	return unread[t.name] || strings.Contains(strings.ToLower(strings.Join(strings.Fields(style), "")), "display:none")
}

// content returns what is in the element called name, and what follows its end.
func content(page, name string) (inside, after string) {
	for rest := page; ; {
		i := strings.Index(rest, "</")
		if i < 0 {
			return page, ""
		}
		rest = rest[i+2:]
		if len(rest) >= len(name) && strings.EqualFold(rest[:len(name)], name) && (len(rest) == len(name) || !isWord(rune(rest[len(name)]))) {
			inside = page[:len(page)-len(rest)-2]
			_, after, _ = strings.Cut(rest, ">")
			return inside, after
		}
	}
}
