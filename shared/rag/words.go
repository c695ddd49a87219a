package rag

import (
	"strings"
	"sync"
)

// stopWords are in nearly every English text, and say nothing of what it is
// about. Those that programs and questions mean something by are not among them:
// all, not, only, first, before, under, …
var stopWords = set(`a about also an and are as at be been being both but by can could did do does doing for from had has have having he her here
	hers him his how i if in into is it its just me my nor now of on or our she should so some such than that the their them then there these they
	this those through to too very was we were what when where which while who whom why will with would you your`)

// longestStopWord is how long they are, in bytes.
const longestStopWord = 7

// isStopWord says whether a word, which may begin with a capital, is one of them.
func isStopWord(word string) bool {
	if len(word) > longestStopWord {
		return false
	}
	var low [longestStopWord]byte
	n := copy(low[:], word)
	if isUpper(low[0]) {
		low[0] |= 0x20
	}
	return stopWords[string(low[:n])]
}

// spellings are the words that programmers abbreviate, by what they write and by
// the terms of the words.
var spellings = sync.OnceValue(func() map[string]string {
	m := map[string]string{}
	for word, short := range spelled {
		word = stem(word)
		m[word] = word
		for s := range strings.FieldsSeq(short) {
			m[s] = word
		}
	}
	return m
})

// spellOut is the term of the word that a word in lower case is, or abbreviates;
// "" for words that nobody abbreviates.
func spellOut(word string) string {
	m := spellings()
	if full := m[word]; full != "" {
		return full
	}
	if term := stem(word); m[term] == term {
		return term
	}
	return ""
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

var spelled = map[string]string{
	"address": "addr addrs", "allocate": "alloc", "application": "app apps", "approximate": "approx", "argument": "arg args kwargs",
	"array": "arr ndarray", "asynchronous": "async", "attribute": "attr attrs", "authentication": "auth", "average": "avg", "boolean": "bool",
	"buffer": "buf bufs", "button": "btn", "calculate": "calc", "certificate": "cert certs", "character": "char chars", "class": "cls",
	"column": "col cols", "command": "cmd cmds", "concatenate": "concat", "config": "cfg conf configuration", "connection": "conn conns",
	"context": "ctx", "convert": "conv", "coordinate": "coord coords", "count": "cnt", "current": "cur curr", "database": "db", "dataframe": "df",
	"date": "datetime", "declaration": "decl", "delete": "del", "delimiter": "delim", "description": "desc", "destination": "dest dst",
	"dictionary": "dict dicts", "difference": "diff diffs", "dimension": "dim dims", "directory": "dir dirs mkdir", "document": "doc docs",
	"duplicate": "dup dups", "element": "elem elems", "environment": "env", "error": "err errs", "evaluate": "eval", "execute": "exec",
	"expression": "expr exprs", "figure": "fig", "file": "fp", "filename": "fname", "format": "fmt", "frequency": "freq", "function": "fn func",
	"generate": "gen", "header": "hdr hdrs", "histogram": "hist", "hour": "hr hrs", "image": "img imgs", "implementation": "impl",
	"index": "idx indices", "information": "info", "initialize": "init", "integer": "int ints", "interface": "iface", "iterate": "iter iterable",
	"keyword": "kw", "language": "lang", "length": "len", "library": "lib libs", "list": "lst", "manager": "mgr", "maximum": "max", "memory": "mem",
	"message": "msg msgs", "millisecond": "ms", "minimum": "min mins", "number": "num nums", "object": "obj objs", "operation": "op ops",
	"option": "opt opts", "original": "orig", "package": "pkg pkgs", "parameter": "param params", "password": "passwd pwd", "percent": "pct",
	"permission": "perm perms", "pointer": "ptr ptrs", "position": "pos", "previous": "prev", "probability": "prob probs", "property": "props",
	"random": "rand", "receive": "recv", "reference": "ref refs", "regex": "regexp", "remove": "rm", "repository": "repo repos", "request": "req",
	"response": "resp", "result": "res", "second": "sec secs", "select": "sel", "separator": "sep", "sequence": "seq seqs", "server": "srv",
	"service": "svc", "signature": "sig", "source": "src", "specification": "spec specs", "statement": "stmt stmts", "statistic": "stat stats",
	"string": "str strs", "synchronize": "sync", "table": "tbl", "temporary": "temp tmp", "text": "txt", "threshold": "thresh", "timestamp": "ts",
	"timezone": "tz", "token": "tok toks", "tuple": "tup", "unique": "uniq", "user": "usr", "utility": "util utils", "value": "val vals",
	"variable": "var vars", "vector": "vec vecs",
}
