package sqltext

import (
	"slices"
	"strings"
)

// head marks the first words of a statement.
func (w *roles) head() int {
	if !w.word(0) || !verbs[w.verb] {
		return 0
	}
	is := func(i int, keys ...string) bool { return w.word(i) && slices.Contains(keys, w.key(i)) }
	n := 1
	switch w.verb {
	case "select", "with", "values", "insert", "update", "delete", "merge", "replace":
		return 0
	case "alter", "create", "drop", "truncate":
		if is(1, "default") && is(2, "privileges") {
			w.grants = true
			return w.mark(0, 3)
		}
		for ddlModifiers[w.key(n)] && (ddlModifiers[w.key(n+1)] || ddlObjects[w.key(n+1)]) {
			n++
		}
		if ddlObjects[w.key(n)] && w.word(n) && (w.verb != "truncate" || is(n, "table") && w.starts(n+1)) {
			w.object = w.key(n)
			n++
			if w.object == "index" {
				n += w.concurrently(n)
			}
			if actions := "add alter attach detach disable drop enable inherit owner rename set validate"; is(n, "only") && w.kind(n+2) == kindWord && slices.Contains(strings.Fields(actions), w.key(n+2)) {
				n++ // and a table of any name
			}
		}
	case "grant", "revoke":
		w.grants = true
		return w.rights(0)
	case "begin", "start", "commit", "rollback":
		if is(n, "immediate", "exclusive", "deferred", "concurrent") && (w.over(n+1) || is(n+1, "transaction")) {
			n++
		}
		if is(n, "transaction", "tran", "work") {
			n++
		}
		if is(n, "to") {
			if n++; is(n, "savepoint") && w.kind(n+1) != kindPunct {
				n++
			}
		}
	case "explain":
		for is(n, "analyze", "verbose", "query", "plan", "extended") {
			n++
		}
		marked := n
		if w.key(n) == "(" {
			n = w.closing(n) + 1
		}
		if is(n, "select", "with", "values", "insert", "update", "delete", "merge", "replace", "create") && !w.over(n+1) {
			w.first = n
			w.mark(0, marked)
			return n
		}
		n = 1
	case "comment":
		if is(1, "on") {
			if n++; is(n, "materialized") && is(n+1, "view") {
				n++
			}
			if w.word(n) && ddlObjects[w.key(n)] && w.starts(n+1) {
				n++
			}
		}
	case "refresh":
		if is(1, "materialized") && is(2, "view") {
			n = 3 + w.concurrently(3)
		}
	case "lock":
		if is(1, "table", "tables") && w.starts(2) && !is(2, "in") {
			n++
		}
	case "reindex":
		if is(1, "index", "table", "schema", "database", "system") && w.starts(2) {
			n = 2 + w.concurrently(2)
		}
	case "set":
		if is(1, "local", "session", "global") && w.kind(2) == kindWord {
			n++
		}
	case "vacuum":
		for is(n, "full", "freeze", "verbose", "analyze") {
			n++
		}
	case "release":
		if is(1, "savepoint") && w.starts(2) {
			n++
		}
	case "show":
		if is(1, "create") {
			n++
		}
	}
	return w.mark(0, n)
}

// concurrently returns 1 if i is that word and no name: CREATE INDEX concurrently
// ON can be both.
func (w *roles) concurrently(i int) int {
	if w.key(i) == "concurrently" && w.word(i) && (w.kind(i+1) == kindName || w.kind(i+1) == kindWord && !slices.Contains([]string{"on", "with", "as", "cascade", "restrict", "rename"}, w.key(i+1))) {
		return 1
	}
	return 0
}

// rights marks the verb at i and the words for rights up to ON. Without ON, they
// are the names of roles.
func (w *roles) rights(i int) int {
	end := i
	for end < len(w.tokens) && w.key(end) != "on" && w.key(end) != "to" && (w.key(end) != "from" || !w.word(end)) {
		end++
	}
	w.mark(i, 1)
	if w.key(end) != "on" {
		return max(end-i, 1)
	}
	depth := 0
	for j := i + 1; j < end; j++ {
		switch key := w.key(j); {
		case key == "(":
			depth++
		case key == ")":
			depth--
		case depth == 0 && w.word(j) && (verbs[key] || slices.Contains([]string{"all", "references", "trigger", "usage", "privileges", "connect", "temporary"}, key)):
			w.mark(j, 1)
		}
	}
	return end - i
}

// afterTables are words that may follow a table whose alias is a word.
var afterTables = strings.Fields("fetch force for ignore limit match_recognize offset option partition pivot qualify returning set tablesample unpivot use using values window")

// keyword says whether the word is one that stands alone.
func (w *roles) keyword(i int) bool {
	level := w.level()
	key, prev, next := w.key(i), w.key(i-1), w.key(i+1)
	after := w.operand(i-1) && (prev != "default" || next != "(")
	switch key {
	case "with":
		return next != "time" && next != "local"
	case "end":
		return level.cases > 0 && after
	case "asc", "desc":
		return after && w.ordered() && (next == "nulls" || w.listed(i+1))
	case "limit", "offset":
		number := w.kind(i+1) == kindNumber || w.kind(i+1) == kindParam || next == "all" || next == "null" || next == "(" && !w.tokens[i+1].glued() && (w.kind(i+2) == kindNumber || w.key(i+2) == "select")
		return w.ends(i-1) && level.clause != "" && number
	case "returning":
		return level.change != "" && level.clause != "update" && level.clause != "merge" && w.ends(i-1) && (w.starts(i+1) && !w.joins(i+1) && next != "set" && next != "values" || next == "*")
	case "set":
		alias := next == "set" && w.kind(i+2) == kindWord
		return after && !alias && !level.set && (level.change == "update" || level.clause == "insert") && w.starts(i+1)
	case "for":
		return level.call && level.clause == "from" && after && w.starts(i+1) || prev == ")" && w.key(i+2) == "in" && len(w.levels) > 1
	case "both", "leading", "trailing":
		return prev == "(" && w.key(i-2) == "trim" && (w.starts(i+1) || next == "from")
	case "values":
		if i > 1 && w.tokens[i-1].is("(") && w.tokens[i-1].glued() && next == "(" && w.tokens[i+1].glued() {
			return false // a function of MySQL, in a call
		}
		return (next == "(" || next == "row") && (w.begins(i) || i == level.start && !level.call && !w.schema() || after && (level.change == "insert" || level.change == "merge"))
	case "insert", "update", "delete", "merge", "replace":
		return w.begins(i) && (w.starts(i+1) && next != "(" || next == "into" || next == "from")
	case "output":
		return (after || prev == "delete") && (next == "inserted" || next == "deleted" || next == "$action")
	case "over":
		return (prev == ")" || w.marked(i-1, "nulls")) && !w.inTables() && (next == "(" || w.starts(i+1) && !w.joins(i+1))
	case "filter":
		return prev == ")" && next == "(" && w.key(i+2) == "where"
	case "window":
		return w.ends(i-1) && level.query && w.key(i+2) == "as" && w.key(i+3) == "("
	case "qualify":
		return after && level.query && w.starts(i+1) && !w.joins(i+1) && !slices.Contains(afterTables, next)
	case "top":
		return (prev == "select" || prev == "distinct" || prev == "delete") && (w.kind(i+1) == kindNumber || next == "(" && (w.kind(i+2) == kindNumber || w.kind(i+2) == kindParam))
	case "lateral":
		return (prev == "," || prev == "join" || prev == "apply" || prev == "from") && w.inTables() &&
			(next == "(" && (w.key(i+2) == "select" || w.key(i+2) == "with" || w.key(i+2) == "values") || w.kind(i+1) == kindWord && !reserved[next] && next != "using" && (w.key(i+2) == "(" || w.key(i+2) == "."))
	case "using":
		if w.object == "policy" && next == "(" {
			return !w.named(i)
		}
		return after && w.starts(i+1) && (next == "(" || w.schema() && !w.item(i) || level.clause == "delete" || level.change == "merge" && (level.clause == "merge" || level.clause == "with"))
	case "collate", "ilike", "rlike", "regexp", "escape", "glob", "match":
		return after && w.starts(i+1) && !w.inTables()
	case "prior":
		return level.clause == "connect" && (w.kind(i-1) == kindOp || w.marked(i-1, "and", "or")) && w.kind(i+1) == kindWord && !reserved[next]
	case "on", "default", "all":
		if w.kind(i-1) == kindOp && key != "default" || key == "on" && prev == "=" {
			return key == "all"
		}
	}
	switch {
	case level.window && w.framed(i):
		return true
	case w.schema() && w.ddlKeyword(i):
		return true
	case w.grants && len(w.levels) == 1 || w.verb == "comment":
		if w.granted(i) {
			return true
		}
	}
	return reserved[key] && !w.label(i)
}

// label says that a word can be nothing but what a column is called, which may
// be any word for PostgreSQL.
func (w *roles) label(i int) bool {
	if !w.marked(i-1, "as") || slices.Contains([]string{"select", "with", "case", "not", "null", "default"}, w.key(i)) {
		return false
	}
	switch next := w.key(i + 1); next {
	case ",", ")", "from", "into", "union", "where", ";":
		return true
	}
	return w.over(i + 1)
}

// framed knows the words for the rows of a window.
func (w *roles) framed(i int) bool {
	next := w.key(i + 1)
	switch w.key(i) {
	case "rows", "range", "groups":
		return (i == w.level().start || w.ends(i-1)) && next != "partition" && (next == "between" || w.starts(i+1)) && !w.level().frame
	case "unbounded":
		return w.marked(i-1, "rows", "range", "groups", "between", "and") && (next == "preceding" || next == "following")
	case "current":
		return w.marked(i-1, "rows", "range", "groups", "between", "and", "exclude") && next == "row"
	case "row":
		return w.marked(i-1, "current")
	case "preceding", "following":
		return w.level().frame && (w.operand(i-1) || w.marked(i-1, "unbounded")) && (next == "and" || next == ")" || next == "exclude")
	case "exclude":
		return w.level().frame && w.marked(i-1, "row", "preceding", "following")
	case "ties", "no":
		return w.marked(i-1, "exclude")
	case "others":
		return w.marked(i-1, "no")
	}
	return false
}

// granted knows the words of GRANT, REVOKE and COMMENT.
func (w *roles) granted(i int) bool {
	key, prev, next := w.key(i), w.key(i-1), w.key(i+1)
	switch {
	case prev == "on" && ddlObjects[key]:
		return w.starts(i + 1)
	case (key == "grant" || key == "revoke") && w.ddl:
		w.rights(i)
		return true
	case prev == "on" && w.ddl:
		return slices.Contains([]string{"tables", "sequences", "functions", "types", "schemas"}, key) && (next == "to" || next == "from")
	}
	return false
}

// ddlKeyword knows the words of statements that change a schema.
func (w *roles) ddlKeyword(i int) bool {
	key, prev, next := w.key(i), w.key(i-1), w.key(i+1)
	item, deep, attribute := w.item(i), len(w.levels) > 1, w.attribute(i)
	switch key {
	case "unique":
		return attribute || item && next == "("
	case "check":
		return next == "(" && (attribute || item)
	case "references":
		return attribute && w.starts(i+1)
	case "constraint":
		return w.starts(i+1) && next != "(" && (attribute || item && w.constraint(i+2))
	case "auto_increment", "autoincrement", "deferrable":
		return attribute && next != "="
	case "stored", "virtual":
		return prev == ")" && !item
	case "cascade", "restrict":
		return w.verb != "create" && !slices.Contains([]string{"column", "index", "key", "constraint", "to", "schema"}, prev) && (w.operand(i-1) || w.marked(i-1, "identity")) && (w.over(i+1) || next == ",")
	case "key", "index":
		return item && w.indexed(i+1)
	case "type":
		return !deep && w.verb == "alter" && w.operand(i-1) && w.starts(i+1)
	case "add", "drop", "alter", "modify", "rename", "change":
		if deep || w.verb != "alter" || !w.starts(i+1) {
			return false
		}
		if prev == "," && (key == "modify" || key == "rename" || key == "change") {
			return w.kind(i+2) == kindWord && !w.constraint(i+2) && (!reserved[w.key(i+2)] || w.key(i+2) == "to") // the name is not this one
		}
		return w.operand(i-1) || prev == ","
	case "include", "inherits":
		return !deep && prev == ")" && next == "("
	case "comment":
		return !item && w.kind(i+1) == kindString
	case "returns", "language", "immutable", "stable", "volatile", "strict":
		return routine(w, i, 1)
	case "before", "after":
		return !deep && w.object == "trigger" && w.operand(i-1)
	}
	return false
}

// constraint says that one on columns begins at i.
func (w *roles) constraint(i int) bool {
	switch w.key(i) {
	case "foreign", "check", "exclude":
		return true
	case "primary":
		return w.key(i+2) == "(" || w.key(i+2) == "clustered" || w.key(i+2) == "nonclustered"
	case "unique":
		return w.key(i+1) == "(" || w.kind(i+1) == kindWord && !reserved[w.key(i+1)]
	}
	return false
}
