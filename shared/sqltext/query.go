package sqltext

import "slices"

// statement lays out one, with its semicolon.
func (m *maker) statement(nodes []node) doc {
	end := len(nodes)
	var semicolon doc
	if nodes[end-1].is(";") {
		end--
	}
	body := m.body(nodes[:end])
	if end < len(nodes) {
		semicolon = m.token(nodes[end].token)
	}
	return cat(body, semicolon)
}

func (m *maker) body(nodes []node) doc {
	if len(nodes) == 0 {
		return doc{}
	}
	if isQuery(nodes) || nodes[0].isKey("replace") && len(nodes) > 1 && nodes[1].isKey("into") {
		return m.query(nodes, hard)
	}
	switch {
	case nodes[0].isKey("explain"):
		n := 1
		for n < len(nodes) && !isQuery(nodes[n:]) {
			n++
		}
		if n < len(nodes) {
			return m.then(nodes[:n], nodes[n:])
		}
	case m.words.object == "table" && nodes[0].isKey("create"):
		return m.createTable(nodes)
	case m.words.object == "table" && nodes[0].isKey("alter"):
		return m.alterTable(nodes)
	case m.words.object == "index" && nodes[0].isKey("create"):
		return m.parts(nodes)
	case nodes[0].isKey("prepare"):
		if n := asQuery(nodes); n > 0 {
			return m.then(nodes[:n], nodes[n:])
		}
	case m.words.object == "view" && nodes[0].isKey("create"):
		if n := asQuery(nodes); n > 0 {
			head := m.seq(nodes[:n])
			m.begin()
			return cat(head, hard, m.query(nodes[n:], hard))
		}
	}
	return m.asBroken(nodes)
}

// then is a query in the lines after its introduction.
func (m *maker) then(head, query []node) doc {
	first := m.asBroken(head)
	m.begin()
	return cat(first, hard, m.query(query, hard))
}

// asQuery returns where the query after AS begins, 0 if there is none.
func asQuery(nodes []node) int {
	for i := range nodes {
		if i > 0 && nodes[i-1].isKey("as") && (nodes[i].isKey("select", "with", "values") || nodes[i].is("(") && isQuery(nodes[i].kids)) {
			return i
		}
	}
	return 0
}

// asBroken keeps the line breaks of the author, with indents that are even.
func (m *maker) asBroken(nodes []node) doc {
	var kids []doc
	start := 0
	for i := 1; i <= len(nodes); i++ {
		if i < len(nodes) && nodes[i].breaks() == 0 {
			continue
		}
		switch first := nodes[start]; {
		case start == 0:
			kids = append(kids, m.parts(nodes[:i]))
		case first.before[len(first.before)-1] == '\n':
			m.begin()
			kids = append(kids, hard, m.parts(nodes[start:i]))
		default:
			m.begin()
			kids = append(kids, nest(2, hard, m.parts(nodes[start:i])))
		}
		if start > 0 && stray(nodes, start) {
			m.odd = true
		}
		start = i
	}
	return cat(kids...)
}

func (m *maker) createTable(nodes []node) doc {
	n := slices.IndexFunc(nodes, func(n node) bool { return n.is("(") })
	if n < 0 || !nodes[n-1].table {
		if q := asQuery(nodes); q > 0 {
			return m.then(nodes[:q], nodes[q:])
		}
		return m.asBroken(nodes)
	}
	head := m.seq(nodes[:n])
	gap := m.spaceBefore(nodes[n].token)
	columns := m.enclosed(nodes[n], maxWidth, hard, func() doc { return m.items(nodes[n].kids, hard, false) })
	tail := nodes[n+1:]
	if len(tail) > 0 && stray(nodes, n+1) {
		m.odd = true
	}
	if len(tail) == 0 {
		return cat(head, gap, columns)
	}
	between := hard
	if tail[0].breaks() == 0 {
		between = m.spaceBefore(tail[0].token)
	} else {
		m.begin()
	}
	if q := asQuery(tail); q > 0 {
		return cat(head, gap, columns, between, m.then(tail[:q], tail[q:]))
	}
	return cat(head, gap, columns, between, m.asBroken(tail))
}

// alterTable puts more than one change on lines of their own.
func (m *maker) alterTable(nodes []node) doc {
	n := 0
	for n < len(nodes) && nodes[n].keyword || n < len(nodes) && nodes[n].is("only") {
		n++
	}
	for n++; n+1 < len(nodes) && nodes[n].is("."); {
		n += 2
	}
	if n >= len(nodes) {
		return m.asBroken(nodes)
	}
	head := m.seq(nodes[:n])
	m.begin()
	if slices.ContainsFunc(nodes[n:], func(n node) bool { return n.is(",") }) {
		return cat(head, nest(2, hard, m.items(nodes[n:], hard, false)))
	}
	return cat(head, group(nest(2, line, m.parts(nodes[n:]))))
}

// parts is a statement, or a part of one, that changes a schema. If it is too
// long for a line it breaks before some words.
func (m *maker) parts(nodes []node) doc {
	by := int32(2)
	if m.words.object == "function" || m.words.object == "procedure" {
		by = 0
	}
	var kids []doc
	start := 0
	for i := 1; i <= len(nodes); i++ {
		if i < len(nodes) && !m.breaksBefore(nodes, i) {
			continue
		}
		if start > 0 {
			m.begin()
			kids = append(kids, line)
		}
		kids = append(kids, m.condition(nodes[start:i], line))
		start = i
	}
	if len(kids) == 1 {
		return kids[0]
	}
	return group(nest(by, kids...))
}

func (m *maker) breaksBefore(nodes []node, i int) bool {
	n, prev := nodes[i], nodes[i-1]
	if !m.words.ddl {
		return false
	}
	switch m.words.object {
	case "index":
		return n.isKey("on", "where", "include")
	case "function", "procedure":
		return n.isKey("returns", "language", "as")
	case "trigger":
		return n.isKey("on", "for", "execute", "when") || n.isKey("before", "after", "instead")
	case "policy":
		return n.isKey("for", "to", "using", "with")
	}
	return n.isKey("references", "on", "constraint", "check", "deferrable", "for", "using") && !prev.isKey("constraint", "add", "not", "drop")
}

// query lays out clauses with a separator between them.
func (m *maker) query(nodes []node, sep doc) doc {
	list, ok := clauses(nodes)
	if !ok {
		m.odd = true
		return m.seq(nodes)
	}
	var kids, nested []doc
	inMatch := false
	flush := func() {
		if len(nested) > 0 {
			kids = append(kids, nest(2, nested...))
			nested = nil
		}
	}
	for i, c := range list {
		if i > 0 {
			m.begin()
		}
		if c.kind == "when" {
			inMatch = true
			flush()
			kids = append(kids, sep, m.clause(c, sep))
			continue
		}
		if c.kind == "output" {
			inMatch = false
			flush()
		}
		if inMatch {
			nested = append(nested, sep, m.clause(c, sep))
			continue
		}
		if i > 0 {
			kids = append(kids, sep)
		}
		kids = append(kids, m.clause(c, sep))
	}
	flush()
	return cat(kids...)
}

func (m *maker) clause(c clause, sep doc) doc {
	head := m.seq(c.head)
	if len(c.body) == 0 {
		return head
	}
	switch c.kind {
	case "with":
		return m.with(head, c.body)
	case "select", "set", "returning", "output", "conflict", "duplicate", "group", "order", "partition", "cluster", "from", "window", "values", "using":
		return m.listClause(c, head, sep)
	case "where", "having", "qualify", "on":
		return m.whereClause(c, head, sep)
	case "join":
		return m.join(c, head)
	case "union":
		m.begin()
		return cat(head, sep, m.seq(c.body))
	case "":
		return m.seq(c.body)
	}
	return cat(head, m.spaceBefore(c.body[0].token), m.seq(c.body))
}

func (m *maker) whereClause(c clause, head, sep doc) doc {
	gap := m.spaceBefore(c.body[0].token)
	d := m.condition(c.body, sep)
	if len(conditions(c.body)) > 1 || len(c.head[len(c.head)-1].trail) > 0 {
		d = nest(2, d)
	}
	return cat(head, gap, d)
}

func (m *maker) listClause(c clause, head, sep doc) doc {
	items := split(c.body, ",")
	if len(items) == 1 && (c.kind != "select" || c.body[len(c.body)-1].end != nil) {
		gap := m.spaceBefore(c.body[0].token)
		return cat(head, gap, m.condition(c.body, line))
	}
	if len(c.head[len(c.head)-1].trail) == 0 {
		m.begin()
	}
	switch {
	case c.kind == "values":
		return cat(head, nest(2, sep, m.items(c.body, sep, false)))
	case (c.kind == "select" || c.kind == "set") && len(items) > 1 && slices.ContainsFunc(c.body, complicated):
		return cat(head, nest(2, hard, m.items(c.body, hard, false)))
	}
	return groupOf(88, head, nest(2, line, m.items(c.body, line, false)))
}

// complicated says that an item of a list deserves a line of its own.
func complicated(n node) bool {
	return n.is("case") && n.end != nil || n.is("(") && isQuery(n.kids) || n.isKey("over", "filter")
}

func (m *maker) join(c clause, head doc) doc {
	on := slices.IndexFunc(c.body, func(n node) bool { return n.isKey("on") })
	if on <= 0 {
		return cat(head, m.spaceBefore(c.body[0].token), m.seq(c.body))
	}
	gap := m.spaceBefore(c.body[0].token)
	table := m.seq(c.body[:on])
	m.begin()
	key := m.token(c.body[on].token)
	if on+1 == len(c.body) {
		return cat(head, gap, table, blanc, key)
	}
	space := m.spaceBefore(c.body[on+1].token)
	return cat(head, gap, table, group(nest(2, line, key, space, m.flat(c.body[on+1:]))))
}

// flat is a condition that breaks with the group around it.
func (m *maker) flat(nodes []node) doc {
	d := m.condition(nodes, line)
	if d.kind == docGroup {
		d.kind = docCat
	}
	return d
}

// with lays out the named queries, each in lines of its own.
func (m *maker) with(head doc, nodes []node) doc {
	kids := []doc{head}
	list := split(nodes, ",")
	for i, item := range list {
		if i == 0 {
			kids = append(kids, m.spaceBefore(item[0].token))
		}
		for j, n := range item {
			if j > 0 {
				kids = append(kids, m.spaceBefore(n.token))
			}
			if n.end != nil && n.is("(") && isQuery(n.kids) {
				kids = append(kids, m.enclosed(n, maxWidth, hard, func() doc { return m.query(n.kids, hard) }))
			} else {
				kids = append(kids, m.node(n))
			}
		}
		if next := firstOf(list, i+1); next != nil {
			m.begin()
			if apart(next) {
				kids = append(kids, blank)
			} else {
				kids = append(kids, hard)
			}
		}
	}
	return cat(kids...)
}
