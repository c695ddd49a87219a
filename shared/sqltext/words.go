package sqltext

import "slices"

// Keywords are written in upper case where they are certain to be keywords. A
// word that could be a name keeps its case, as names have case in some places.

// reserved can be nothing but keywords: all dialects reserve them.
var reserved = setOf(`all and as between case create default distinct else except exists from group having in inner intersect into is join like not null on or
	order select then to union when where with`)

var (
	// verbs begin a statement.
	verbs = setOf(`abort alter analyze attach begin call checkpoint close cluster comment commit copy create deallocate declare delete describe detach discard do drop
		exec execute explain export fetch flush grant insert kill listen load lock merge notify open optimize pragma prepare print reassign refresh reindex release rename replace
		reset revoke rollback savepoint select set show start truncate update use vacuum values with`)
	ddlModifiers = setOf(`or alter replace global local temporary temp unlogged external foreign unique clustered nonclustered fulltext spatial materialized recursive virtual
		constraint algorithm transient primary hash`)
	ddlObjects = setOf(`table view index sequence schema database type domain extension function procedure trigger role user policy aggregate operator cast rule server
		publication subscription tablespace column collation`)
	ddlVerbs = setOf("create alter drop truncate")
)

// roles finds the roles of the tokens of one statement.
type roles struct {
	tokens []*token
	levels []nesting
	verb   string // the statement's first word
	first  int    // where the statement begins, after EXPLAIN
	ddl    bool
	grants bool   // it gives rights, or takes them
	object string // what kind of thing is created or changed
}

// nesting is what is known between a pair of parentheses.
type nesting struct {
	clause   string // the latest
	change   string // INSERT, UPDATE, DELETE or MERGE
	set      bool   // SET was there
	conflict bool   // ON CONFLICT was there
	query    bool   // a query is there
	within   bool   // one is around it
	call     bool   // these are the arguments of a function
	window   bool   // these are the parts of a window
	frame    bool   // with ROWS, RANGE or GROUPS
	cases    int    // CASE without END
	start    int
}

func findRoles(tokens []*token) *roles {
	w := &roles{tokens: tokens, levels: []nesting{{}}}
	w.verb = w.key(0)
	w.ddl = ddlVerbs[w.verb]
	for i := w.head(); i < len(tokens); {
		i += w.role(i)
	}
	w.columns()
	return w
}

func (w *roles) key(i int) string {
	if i >= 0 && i < len(w.tokens) && w.tokens[i].kind != kindString && w.tokens[i].kind != kindName {
		return w.tokens[i].key
	}
	return ""
}

func (w *roles) kind(i int) tokenKind {
	if i >= 0 && i < len(w.tokens) {
		return w.tokens[i].kind
	}
	return kindBatch
}

// word says whether i is a word that stands alone: no part of a name with dots,
// of a number, or before a string that it belongs to.
func (w *roles) word(i int) bool {
	if w.kind(i) != kindWord || w.key(i-1) == "." || w.key(i+1) == "." {
		return false
	}
	if i > 0 && w.tokens[i].glued() && w.kind(i-1) != kindPunct && w.kind(i-1) != kindOp && !endsAlone(w.tokens[i-1]) {
		return false
	}
	next := w.kind(i + 1)
	return next == kindPunct || next == kindOp || next == kindBatch || reserved[w.key(i)] || !w.tokens[i+1].glued()
}

// operand says that a value or name ends with i.
func (w *roles) operand(i int) bool {
	if i < 0 || i >= len(w.tokens) {
		return false
	}
	t := w.tokens[i]
	switch t.kind {
	case kindOp:
		return t.text == "*" && !t.binary
	case kindPunct, kindAngle:
		return t.closes()
	}
	return t.kind != kindBatch && (!t.keyword || t.key == "null" || t.key == "end" || t.key == "default" || t.key == "row" && w.key(i-1) == "current" ||
		t.key == "preceding" || t.key == "following")
}

// starts says that a value or name begins with i.
func (w *roles) starts(i int) bool {
	switch w.kind(i) {
	case kindWord:
		return !reserved[w.key(i)] || slices.Contains([]string{"null", "case", "not", "exists", "default", "select"}, w.key(i))
	case kindPunct:
		return w.key(i) == "("
	case kindOp, kindBatch:
		return false
	}
	return true
}

func (w *roles) mark(i, n int) int {
	for _, t := range w.tokens[i : i+n] {
		t.keyword = true
	}
	return n
}

func (w *roles) level() *nesting { return &w.levels[len(w.levels)-1] }

// schema says that these are not the words of a query.
func (w *roles) schema() bool { return w.ddl && !w.level().query && !w.level().within }

// marked says that i is a keyword, and one of these.
func (w *roles) marked(i int, keys ...string) bool {
	return i >= 0 && i < len(w.tokens) && w.tokens[i].keyword && w.tokens[i].is(keys...)
}

// ends says that the clause before may end with i.
func (w *roles) ends(i int) bool {
	return w.operand(i) || w.marked(i, "asc", "desc", "first", "last", "only", "nothing", "values", "row", "rows", "all", "ties", "nowait", "locked", "insert", "update", "delete", "truncate", "rollup", "cube",
		"deferrable", "deferred", "immediate", "immutable", "stable", "volatile", "strict", "input", "definer", "invoker", "safe", "trigger")
}

// over says that nothing comes from i on.
func (w *roles) over(i int) bool { return i >= len(w.tokens) || w.tokens[i].is(";") }

// begins says that a statement may begin at i.
func (w *roles) begins(i int) bool {
	level := w.level()
	changes := w.key(i+1) == "into" || w.key(i+1) == "from" || w.key(i+2) == "set"
	return i == w.first || i == level.start && w.object != "type" && (w.marked(i-2, "as", "materialized") || w.marked(i-2, "from") && changes) ||
		w.verb == "with" && len(w.levels) == 1 && level.clause == "with" && w.key(i-1) == ")"
}

// inTables says that a name may be followed by an alias without AS.
func (w *roles) inTables() bool {
	return !w.level().call && slices.Contains([]string{"from", "update", "insert", "delete", "merge", "into", "using", "with"}, w.level().clause)
}

// listed says that what is in a list has come to its end before i.
func (w *roles) listed(i int) bool {
	return w.over(i) || w.tokens[i].is(",", ")", "limit", "offset", "rows", "range", "groups", "fetch", "for", "union", "except", "intersect", "option", "with", "where", "returning")
}

// ordered says that these may be columns with the order they have.
func (w *roles) ordered() bool {
	deep := len(w.levels) > 1 && w.object == "index" || len(w.levels) > 2 && w.object == "table"
	return w.level().clause == "order" || w.level().clause == "" && w.schema() && deep
}

// named says that the keyword before i wants a name.
func (w *roles) named(i int) bool {
	return w.marked(i-1, "table", "column", "constraint", "add", "drop", "alter", "modify", "change", "rename", "index", "view", "exists", "to", "references", "on", "trigger",
		"policy", "domain", "type", "sequence")
}

// changed says that i is the new name after CHANGE and the old one.
func (w *roles) changed(i int) bool {
	return w.verb == "alter" && (w.marked(i-2, "change") || w.marked(i-2, "column") && w.marked(i-3, "change"))
}

// attribute says that something about a column can follow at i.
func (w *roles) attribute(i int) bool {
	if w.item(i) || w.key(i-1) == "default" || w.key(i-1) == "key" && (w.item(i-2) || !w.marked(i-2, "primary", "unique", "foreign")) {
		return false
	}
	return w.operand(i-1) || w.marked(i-1, "key", "identity", "unique", "auto_increment", "autoincrement", "stored", "virtual", "cascade", "restrict", "action", "deferrable", "deferred", "immediate")
}

// item says that i is the first word of a column, or of what stands among them.
func (w *roles) item(i int) bool { return w.key(i-1) == "(" || w.key(i-1) == "," }

// joins says that a join begins at i, and what is before it may be an alias.
func (w *roles) joins(i int) bool {
	for last := i + 4; i < last && slices.Contains([]string{"natural", "left", "right", "full", "inner", "cross", "outer", "semi", "anti"}, w.key(i)); {
		i++
	}
	return w.key(i) == "join" || w.key(i) == "apply"
}

// closing finds the parenthesis that closes the one at i, if it is not too far.
func (w *roles) closing(i int) int {
	depth := 0
	for last := i + 1000; i < len(w.tokens) && i < last; i++ {
		switch {
		case w.tokens[i].is("("):
			depth++
		case w.tokens[i].is(")"):
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(w.tokens)
}

// indexed says that the columns of an index follow, perhaps after its name: no
// name of a column with its type, as in key varchar(64).
func (w *roles) indexed(i int) bool {
	if w.key(i) != "(" {
		if w.key(i) == "geometry" || w.key(i) == "geography" || w.kind(i) != kindWord && w.kind(i) != kindName {
			return false
		}
		if i++; w.key(i) == "using" {
			return true
		}
	}
	if w.key(i) != "(" || w.key(i+1) == "max" {
		return false
	}
	if w.key(i+1) == "(" {
		return true
	}
	for i++; i < len(w.tokens); i++ {
		switch {
		case w.kind(i) == kindWord || w.kind(i) == kindName || w.tokens[i].is(","):
		case w.tokens[i].is("(") && w.kind(i+1) == kindNumber && w.key(i+2) == ")":
			i += 2
		default:
			return w.tokens[i].is(")")
		}
	}
	return false
}

// role finds that of token i, or of a phrase from there on, and returns how many
// tokens that were.
func (w *roles) role(i int) int {
	t, level := w.tokens[i], w.level()
	switch {
	case t.is("("):
		inner := nesting{
			start:  i + 1,
			within: level.within || level.query,
			call:   t.glued() && w.kind(i-1) == kindWord && !w.tokens[i-1].keyword,
			window: w.marked(i-1, "over") || w.marked(i-1, "as") && level.clause == "window",
		}
		if w.marked(i-1, "from", "join", "apply") {
			inner.clause = "from"
		}
		w.levels = append(w.levels, inner)
	case t.is(")") && len(w.levels) > 1:
		w.levels = w.levels[:len(w.levels)-1]
		if level.start == w.first+1 {
			w.level().query = level.query
		}
	case t.kind == kindOp:
		t.binary = spaced[t.text] && w.operand(i-1) && (t.text != "*" || w.key(i-1) != "." && !w.over(i+1))
		if w.option(i) {
			t.option, t.binary = true, false
		}
	case !w.word(i), w.changed(i):
	default:
		n := w.phrase(i)
		if n == 0 && w.keyword(i) {
			n = 1
		}
		if n > 0 {
			w.mark(i, n)
			w.enter(i, n)
			return n
		}
	}
	return 1
}

// option says that i is the sign in something like ENGINE=InnoDB.
func (w *roles) option(i int) bool {
	return w.verb == "create" && (len(w.levels) == 1 || w.key(1) == "virtual") && w.levels[0].clause == "" && w.key(i) == "="
}

// enter notes what the n keywords from i on begin.
func (w *roles) enter(i, n int) {
	level, first, last := w.level(), w.key(i), w.key(i+n-1)
	if n == 1 {
		switch first {
		case "case":
			level.cases++
		case "end":
			level.cases--
		case "rows", "range", "groups":
			level.frame = level.window
		case "on":
			if level.clause == "from" {
				level.clause = "on"
			}
		}
	}
	switch first {
	case "select", "from", "where", "having", "limit", "values", "returning", "with", "qualify", "window", "fetch", "start", "connect", "into", "offset":
		if n == 1 || first == "start" || first == "fetch" || first == "connect" || last == "recursive" {
			level.clause = first
		}
		level.query = level.query || first == "select"
	case "using":
		if !w.ddl {
			level.clause = first
		}
	case "set":
		level.set = true
		if n == 1 {
			level.clause = first
		}
	case "insert", "replace", "update", "delete", "merge":
		level.clause, level.change, level.query = first, first, !w.ddl || w.object == "rule"
		if first == "replace" {
			level.clause, level.change = "insert", "insert"
		}
	case "then":
		if n > 1 {
			level.clause = last
		}
	case "for":
		if level.query && w.key(i+1) != "system_time" {
			level.clause = "for"
		}
	case "rows", "row":
		if last == "next" || last == "first" {
			level.clause = "fetch"
		}
	case "on":
		level.conflict = level.conflict || n > 1 && w.key(i+1) == "conflict"
	}
	switch last {
	case "by":
		level.clause = first
	case "join", "apply":
		level.clause = "from"
	}
}

// columns finds the names of tables before a list of columns, which may have
// space after them although calls may not.
func (w *roles) columns() {
	for i := 1; i < len(w.tokens); i++ {
		if w.key(i) != "(" || w.kind(i-1) != kindWord && w.kind(i-1) != kindName || w.tokens[i-1].keyword {
			continue
		}
		w.tokens[i-1].table = columnsOf(func(back int) *token {
			if back >= i {
				return nil
			}
			return w.tokens[i-1-back]
		})
	}
}

// columnsOf says whether the name that ends at before(0) is that of a table
// whose columns follow.
func columnsOf(before func(int) *token) bool {
	n := 0
	for before(n + 1).is(".") {
		n += 2
	}
	switch t := before(n + 1); {
	case t.is("into"):
		return true
	case t.is("table"):
		return before(n+2).is("create", "temp", "temporary", "unlogged", "external", "foreign")
	case t.is("exists"):
		return before(n+2).is("not") && before(n+3).is("if") && before(n+4).is("table")
	}
	return false
}
