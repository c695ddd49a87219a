package prompt

import (
	"encoding/json"
	"slices"
)

// remember writes the turns of the memory that are kept, and tells of the
// others.
func (w *builder) remember() {
	turns, whence := split(w.Memory)
	links := linked(turns)
	waiting := awaited(links, w.Own)
	kept, dropped := recall(turns, links, waiting, min(w.budget.Memory, w.left), w.count)
	var left []Left
	var gone []json.RawMessage
	from := make([][]Left, len(turns))
	index := 0
	for t, turn := range turns {
		from[t] = originsOf("memory", turn)
		unpaired := !links[t].whole || len(links[t].waits) > 0 && !continued(links, t, waiting)
		for i := range from[t] {
			from[t][i].Index = index
			index++
			if w.MemoryID != nil {
				from[t][i].ID = w.MemoryID(whence[t].turn, whence[t].message+i)
			}
			if unpaired {
				from[t][i].Why = Unpaired
			}
		}
		if !slices.Contains(kept, t) {
			left, gone = append(left, from[t]...), append(gone, turn...)
		}
	}
	before := len(w.messages)
	for _, t := range kept {
		w.messages = append(w.messages, turns[t]...)
		w.account.origins = append(w.account.origins, from[t]...)
	}
	w.account.leave(left, func(i int) int64 { return w.count.message(gone[i]) })
	w.account.add("memory", w.count.messages(w.messages[before:]), w.budget.Memory, len(kept), dropped+w.Older)
	w.account.LeftMore += w.Older
}

// place is where a turn begins in the memory.
type place struct{ turn, message int }

// split cuts turns at the questions in them: who brings along a dialogue appends
// many at once, and there may not be room for all of them. User messages in a row
// stay together.
func split(memory [][]json.RawMessage) (turns [][]json.RawMessage, whence []place) {
	for t, turn := range memory {
		begin := 0
		list := steps(turn)
		for i := 1; i < len(list); i++ {
			if before := list[i-1]; list[i].role == "user" && before.role != "user" && !before.system() {
				turns, whence = append(turns, turn[begin:i:i]), append(whence, place{t, begin})
				begin = i
			}
		}
		turns, whence = append(turns, turn[begin:]), append(whence, place{t, begin})
	}
	return turns, whence
}

// recall keeps the newest exchanges that fit. An exchange is a turn, or
// several of which each answers the calls of the one before. It stands where it
// ended: if others spoke meanwhile, its turns still follow each other, as
// providers want it. What is no part of a complete exchange is left out.
//
// That of the turn waiting, with whose results the request begins, comes last;
// waiting is -1 if there is none. kept are the turns to be sent, in their order;
// of the others, dropped are not empty.
func recall(turns [][]json.RawMessage, links []link, waiting int, budget int64, count measure) (kept []int, dropped int) {
	taken := make([]bool, len(turns))
	take := func(last int) (fits bool) {
		var exchange []int
		for i := last; i >= 0; i = links[i].before {
			if taken[i] { // calls that were answered twice: the newest answer counts
				return true
			}
			exchange = append(exchange, i)
			budget -= count.messages(turns[i])
		}
		if budget < 0 {
			return false
		}
		for i := last; i >= 0; i = links[i].before {
			taken[i] = true
		}
		slices.Reverse(exchange)
		kept = slices.Insert(kept, 0, exchange...)
		return true
	}
	fits := true
	if waiting >= 0 {
		fits = take(waiting)
	}
	for i := len(turns) - 1; i >= 0 && fits; i-- {
		if links[i].whole && len(links[i].waits) == 0 {
			fits = take(i)
		}
	}
	for _, turn := range turns {
		if len(turn) > 0 {
			dropped++
		}
	}
	return kept, dropped - len(kept)
}

// awaited is the turn that waits for the results with which own begins; -1 for
// none.
func awaited(links []link, own []json.RawMessage) int {
	if begin := steps(own[:min(1, len(own))]); len(begin) > 0 && begin[0].result {
		return caller(links, begin[0].id)
	}
	return -1
}

// continued says whether calls that are open at the end of turn t are answered
// by later turns, or by the request whose results the turn waiting waits for.
func continued(links []link, t, waiting int) bool {
	if t == waiting {
		return true
	}
	for i := t + 1; i < len(links); i++ {
		if links[i].whole && links[i].before == t && (len(links[i].waits) == 0 || continued(links, i, waiting)) {
			return true
		}
	}
	return false
}

// link is how a turn hangs together with others.
type link struct {
	whole  bool     // every result in it has its call, there or before; every call is answered or waits
	before int      // the turn whose calls it answers; -1 for none
	waits  []string // the ids of calls without results at its end
}

// linked finds for every turn that begins with a result the newest one before
// it that waits for it.
func linked(turns [][]json.RawMessage) []link {
	links := make([]link, len(turns))
	for i, turn := range turns {
		l := link{before: -1}
		list := steps(turn)
		if len(list) > 0 && list[0].result {
			if l.before = caller(links[:i], list[0].id); l.before >= 0 {
				l.waits = links[l.before].waits
			}
		}
		l.waits, l.whole = follow(l.waits, list)
		l.whole = l.whole && len(list) > 0
		links[i] = l
	}
	return links
}

// caller is the newest turn that waits for the result of a call; -1 for none.
func caller(links []link, id string) int {
	for i, l := range slices.Backward(links) {
		if l.whole && slices.Contains(l.waits, id) {
			return i
		}
	}
	return -1
}

// follow goes through messages while calls wait for results. It returns the
// calls that wait at the end, and says whether every result had its call and
// nothing else came between them.
func follow(waits []string, list []step) (rest []string, ok bool) {
	rest = slices.Clone(waits)
	for _, s := range list {
		if !s.result {
			if len(rest) > 0 {
				return nil, false
			}
			rest = s.calls
			continue
		}
		i := slices.Index(rest, s.id)
		if i < 0 {
			return nil, false
		}
		rest = slices.Delete(rest, i, i+1)
	}
	return rest, true
}
