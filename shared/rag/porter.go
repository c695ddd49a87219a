package rag

// stem takes the endings off an English word in lower case, by M. F. Porter's
// algorithm of 1980. Words that are not plain ASCII letters stay as they are.
func stem(word string) string {
	if len(word) < 3 || len(word) == 3 && word[2] == 's' && !plurals[word] {
		return word
	}
	for i := range len(word) {
		if word[i] < 'a' || word[i] > 'z' {
			return word
		}
	}
	var buf [maxTerm]byte
	p := porter(append(buf[:0], word...))
	p.plurals()
	p.endInY()
	p.replace(doubleSuffixes, 0)
	p.replace(fullSuffixes, 0)
	p.removeSuffixes()
	p.tidy()
	return string(p)
}

// plurals are all words of three letters that an s makes many of: others that end
// in one are no plurals (gas, ios, tls).
var plurals = set("ads cds dbs ids ips ops pcs prs tvs vms")

type porter []byte

func (p porter) consonant(i int) bool {
	switch p[i] {
	case 'a', 'e', 'i', 'o', 'u':
		return false
	case 'y':
		return i == 0 || !p.consonant(i-1)
	}
	return true
}

// measure counts the vowel-consonant sequences of p[:n].
func (p porter) measure(n int) int {
	count := 0
	for i := 1; i < n; i++ {
		if p.consonant(i) && !p.consonant(i-1) {
			count++
		}
	}
	return count
}

func (p porter) vowelIn(n int) bool {
	for i := range n {
		if !p.consonant(i) {
			return true
		}
	}
	return false
}

func (p porter) ends(suffix string) bool {
	return len(p) > len(suffix) && string(p[len(p)-len(suffix):]) == suffix
}

func (p porter) double() bool {
	n := len(p)
	return n >= 2 && p[n-1] == p[n-2] && p.consonant(n-1)
}

// short says whether p[:n] ends consonant, vowel, consonant other than w, x, y.
func (p porter) short(n int) bool {
	if n < 3 || !p.consonant(n-1) || p.consonant(n-2) || !p.consonant(n-3) {
		return false
	}
	c := p[n-1]
	return c != 'w' && c != 'x' && c != 'y'
}

// plurals is step 1a and 1b: plurals, -ed and -ing.
func (p *porter) plurals() {
	switch w := *p; {
	case w.ends("sses"), w.ends("ies"):
		*p = w[:len(w)-2]
	case w.ends("ss"):
	case w.ends("s"):
		*p = w[:len(w)-1]
	}
	w := *p
	if w.ends("eed") {
		if w.measure(len(w)-3) > 0 {
			*p = w[:len(w)-1]
		}
		return
	}
	cut := 0
	if w.ends("ed") && w.vowelIn(len(w)-2) {
		cut = 2
	} else if w.ends("ing") && w.vowelIn(len(w)-3) {
		cut = 3
	}
	if cut == 0 {
		return
	}
	w = w[:len(w)-cut]
	switch {
	case w.ends("at"), w.ends("bl"), w.ends("iz"):
		w = append(w, 'e')
	case w.double() && w[len(w)-1] != 'l' && w[len(w)-1] != 's' && w[len(w)-1] != 'z':
		w = w[:len(w)-1]
	case w.measure(len(w)) == 1 && w.short(len(w)):
		w = append(w, 'e')
	}
	*p = w
}

// endInY is step 1c.
func (p porter) endInY() {
	if n := len(p) - 1; p[n] == 'y' && p.vowelIn(n) {
		p[n] = 'i'
	}
}

type rule struct{ suffix, by string }

// doubleSuffixes and fullSuffixes are steps 2 and 3.
var (
	doubleSuffixes = []rule{{"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"}, {"bli", "ble"},
		{"alli", "al"}, {"entli", "ent"}, {"eli", "e"}, {"ousli", "ous"}, {"ization", "ize"}, {"ation", "ate"}, {"ator", "ate"}, {"alism", "al"},
		{"iveness", "ive"}, {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"}, {"iviti", "ive"}, {"biliti", "ble"}, {"logi", "log"}}
	fullSuffixes = []rule{{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"}, {"ical", "ic"}, {"ful", ""}, {"ness", ""}}
	lastSuffixes = []string{"al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti", "ous", "ive", "ize"}
)

// replace applies the first rule whose suffix is there, if more than measure
// sequences come before it.
func (p *porter) replace(rules []rule, measure int) {
	w := *p
	for _, r := range rules {
		if w.ends(r.suffix) {
			if n := len(w) - len(r.suffix); w.measure(n) > measure {
				*p = append(w[:n], r.by...)
			}
			return
		}
	}
}

// removeSuffixes is step 4.
func (p *porter) removeSuffixes() {
	w := *p
	for _, s := range lastSuffixes {
		if !w.ends(s) {
			continue
		}
		n := len(w) - len(s)
		if w.measure(n) > 1 && (s != "ion" || w[n-1] == 's' || w[n-1] == 't') {
			*p = w[:n]
		}
		return
	}
}

// tidy is step 5: a final e, and one of two l.
func (p *porter) tidy() {
	w := *p
	if n := len(w) - 1; w[n] == 'e' {
		if m := w.measure(n); m > 1 || m == 1 && !w.short(n) {
			w = w[:n]
		}
	}
	if n := len(w); n > 1 && w[n-1] == 'l' && w.double() && w.measure(n) > 1 {
		w = w[:n-1]
	}
	*p = w
}
