package sqltext

// clause is a part of a query that begins a line.
type clause struct {
	kind string
	head []node
	body []node
}

// isKey says that the node is a keyword, and one of these.
func (n node) isKey(keys ...string) bool { return n.token != nil && n.keyword && n.is(keys...) }

// isQuery says that a query stands there.
func isQuery(nodes []node) bool {
	if len(nodes) == 0 {
		return false
	}
	return nodes[0].isKey("select", "with", "values", "insert", "update", "delete", "merge") || nodes[0].query && (len(nodes) == 1 || nodes[1].isKey("union", "except", "intersect"))
}

// clauses cuts a query into its clauses. ok is false if two statements stand
// there with nothing between them.
func clauses(nodes []node) (list []clause, ok bool) {
	list = []clause{{}}
	selected, merge := false, len(nodes) > 0 && nodes[0].isKey("merge")
	for i := 0; i < len(nodes); {
		cur := &list[len(list)-1]
		n := headLength(nodes, i, cur.kind, merge)
		if n == 0 {
			if i > 0 && stray(nodes, i) {
				return nil, false
			}
			cur.body = append(cur.body, nodes[i])
			i++
			continue
		}
		kind := nodes[i].key
		switch {
		case kind == "on" && n > 1 && nodes[i+1].is("conflict"):
			kind = "conflict"
		case kind == "on" && n > 1:
			kind = "duplicate"
		case nodes[i+n-1].isKey("join", "apply", "lateral") && kind != "lateral":
			kind = "join"
		case kind == "except", kind == "intersect":
			kind = "union"
		}
		switch kind {
		case "with":
			if i > 0 {
				kind = "option"
			}
		case "update":
			kind = nodes[i+n-1].key
		case "select":
			if selected {
				return nil, false
			}
			selected = true
		case "union":
			selected = false
		}
		list = append(list, clause{kind: kind, head: nodes[i : i+n]})
		i += n
	}
	if len(list[0].body) == 0 {
		list = list[1:]
	}
	return list, true
}

// stray says that a new statement seems to begin at i, as those of SQL Server
// need no semicolons.
func stray(nodes []node, i int) bool {
	t := nodes[i]
	if t.kind != kindWord || t.breaks() == 0 && len(t.lead) == 0 || i+1 == len(nodes) {
		return false
	}
	p := nodes[i-1].last()
	if p.is(",", ".", "(") || p.kind == kindOp || p.keyword && !p.is("end", "null", "nothing") {
		return false
	}
	switch t.key {
	case "exec", "execute", "print", "declare", "if", "while", "begin", "commit", "rollback", "use", "drop", "alter", "create", "truncate", "insert", "update", "delete", "merge",
		"return", "grant", "set", "else", "raiserror", "throw", "waitfor", "open", "fetch", "close", "call":
		next := nodes[i+1].token
		return next.kind == kindWord && (!next.keyword || next.is("into", "from", "table", "exists", "not", "case")) || next.kind == kindParam || next.kind == kindName || next.kind == kindString
	}
	return false
}

// headLength returns how many nodes from i on are the head of a clause, 0 if none
// begins there.
func headLength(nodes []node, i int, current string, merge bool) int {
	is := func(n int, keys ...string) bool { return i+n >= 0 && i+n < len(nodes) && nodes[i+n].isKey(keys...) }
	// until looks for a head's last word, as far as the next head of the kind: all
	// of them together look at a node once.
	until := func(again string, keys ...string) int {
		for n := 1; i+n < len(nodes) && (n == 1 || !is(n, again)); n++ {
			if is(n, keys...) {
				return n + 1
			}
		}
		return 0
	}
	if !nodes[i].keyword {
		return 0
	}
	switch nodes[i].key {
	case "with":
		if i > 0 && is(1, "check", "no", "data") {
			return 1
		} else if i > 0 {
			return 0
		}
		if is(1, "recursive") {
			return 2
		}
		return 1
	case "select":
		return selectHead(nodes[i:])
	case "from":
		if is(-1, "distinct") && is(-2, "is", "not") {
			return 0
		}
		return 1
	case "natural", "left", "right", "full", "inner", "cross", "outer", "join":
		for n := range 5 {
			switch {
			case is(n, "join", "apply") && is(n+1, "lateral"):
				return n + 2
			case is(n, "join", "apply"):
				return n + 1
			}
		}
		return 0
	case "values":
		if is(-1, "default") {
			return 0
		}
		return 1
	case "where", "having", "qualify", "window", "returning", "limit", "set", "output":
		return 1
	case "group", "order", "partition", "cluster":
		switch {
		case is(1, "by"):
			return 2
		case is(1, "siblings"):
			return 3
		}
		return 0
	case "offset":
		if current == "limit" {
			return 0
		}
		return 1
	case "fetch":
		if current == "offset" {
			return 0
		}
		return 1
	case "for":
		n := 1
		for is(n, "update", "share", "no", "key", "json", "xml", "path", "auto", "raw") {
			n++
		}
		if n == 1 {
			return 0
		}
		return n
	case "union", "except", "intersect":
		if i > 0 && nodes[i-1].is("*") {
			return 0
		}
		if is(1, "all", "distinct") {
			return 2
		}
		return 1
	case "insert", "replace":
		for n := range 5 {
			if is(n, "into", "overwrite") {
				return n + 1
			}
		}
		return 1
	case "update":
		if is(1, "set") {
			return 2
		}
		return 1
	case "delete", "merge":
		if is(1, "from", "into") {
			return 2
		}
		return 1
	case "start", "connect":
		if is(1, "with", "by") {
			return 2
		}
		return 0
	case "into":
		if current == "output" {
			return 0
		}
		return 1
	case "using":
		if current == "merge" || current == "delete" {
			return 1
		}
		return 0
	case "on":
		switch {
		case is(1, "conflict"):
			return until("conflict", "nothing", "set")
		case is(1, "duplicate"):
			return 4
		case merge && current == "using":
			return 1
		}
		return 0
	case "when":
		if !merge {
			return 0
		}
		n := until("when", "then")
		if n > 0 && is(n, "delete") {
			return n + 1
		}
		return n
	}
	return 0
}

func selectHead(nodes []node) int {
	is := func(n int, keys ...string) bool { return n < len(nodes) && nodes[n].isKey(keys...) }
	n := 1
	if is(n, "all", "distinct") {
		n++
	}
	if is(n, "on") && n+1 < len(nodes) && nodes[n+1].is("(") {
		n += 2
	}
	if is(n, "top") {
		n += 2
		if n < len(nodes) && nodes[n].kind == kindWord && nodes[n].is("percent") {
			n++
		}
	}
	if is(n, "as") && n+1 < len(nodes) && nodes[n+1].is("struct", "value") {
		n += 2
	}
	return min(n, len(nodes))
}
