package dynamo

// DynamoDB's expressions cannot calculate in conditions, which is why the item
// holds limits as ready comparands. What they say is what Account.Refusal and
// Account.Admit say.
const (
	mayUse   = "st = :one AND k.#k.x > :sec AND contains(k.#k.s, :scope)"
	mayModel = " AND (contains(k.#k.m, :any) OR contains(k.#k.m, :fam) OR contains(k.#k.m, :mod))" +
		" AND (contains(mods, :any) OR contains(mods, :fam) OR contains(mods, :mod))"
	isNew     = " AND attribute_not_exists(L.#id) AND size(L) < par"
	roomMoney = " AND ((attribute_not_exists(d.#d) AND D >= :est) OR d.#d >= :est)" +
		" AND ((attribute_not_exists(m.#m) AND M >= :est) OR m.#m >= :est)" +
		" AND ((attribute_not_exists(p.#m) AND G >= :due) OR p.#m >= :due)"
	roomTokens = " AND ((attribute_not_exists(t.#t) AND T >= :tok) OR t.#t >= :tok)"
	noBudget   = " AND D >= :none AND M >= :none AND G >= :none"

	takeMoney = "d.#d = if_not_exists(d.#d, D) - :est, m.#m = if_not_exists(m.#m, M) - :est, p.#m = if_not_exists(p.#m, G) - :due"
	openLease = ", L.#id = :est, " + takeMoney + ", t.#t = if_not_exists(t.#t, T) - :tok"

	// An admission may take what was drawn for it along: then less than :est is
	// due. Each draw is taken once.
	inOrder = " AND gn = :before"
	counted = ", gn = :gn"

	// GCRA in two variants, because SET has no max(): from rest it starts at
	// now, else it moves on. One variant alone would let credit pile up.
	ifIdle = " AND tat <= :now"
	ifBusy = " AND tat > :now AND gate <= :now"
	idle   = "SET tat = :now + inc, gate = :now - gap"
	busy   = "SET tat = tat + inc, gate = gate + inc"

	// A period that somebody has pruned meanwhile comes back whole: nobody is
	// admitted into it any more.
	closeLease = "SET d.#d = if_not_exists(d.#d, D) + :diff, m.#m = if_not_exists(m.#m, M) + :diff," +
		" p.#m = if_not_exists(p.#m, G) + :diff," +
		" t.#t = if_not_exists(t.#t, T) + :tok REMOVE L.#id"
	holds = "L.#id = :cur"

	topUp   = "SET L.#id = :new, " + takeMoney
	mayHold = holds + roomMoney
)

// form says what an ask's expressions must contain.
type form struct{ lease, model, unpriced, busy, drawn bool }

func formOf(lease, model, unpriced, busy, drawn bool) form {
	return form{lease: lease, model: model, unpriced: unpriced && lease, busy: busy, drawn: drawn && lease}
}

// admitWrites holds the expressions of every form, put together once.
var admitWrites = func() map[form]write {
	m := map[form]write{}
	for bits := range 32 {
		f := formOf(bits&1 != 0, bits&2 != 0, bits&4 != 0, bits&8 != 0, bits&16 != 0)
		w := write{condition: mayUse + ifIdle, update: idle}
		if f.busy {
			w = write{condition: mayUse + ifBusy, update: busy}
		}
		if f.model {
			w.condition += mayModel
		}
		if f.lease {
			w.condition += isNew + roomMoney + roomTokens
			w.update += openLease
		}
		if f.drawn {
			w.condition += inOrder
			w.update += counted
		}
		if f.unpriced {
			w.condition += noBudget
		}
		m[f] = w
	}
	return m
}()

type write struct{ condition, update string }
