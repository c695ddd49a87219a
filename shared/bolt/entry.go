package bolt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// The journal is where admissions and settlements go first: one line each,
// appended by one write(2), which a killed process cannot take back. A line is
//
//	crc32c kind user id held cost tokens tat [record]
//
// in text, so that it can be read without this program. A file begins with a
// snapshot of what the files before it still had to say.
const (
	rateLine   = 'R' // snapshot: tat of user
	minuteLine = 'M' // snapshot: tokens used by user in the minute called id
	leaseLine  = 'L' // snapshot: user's lease id holds held
	endLine    = 'E' // the snapshot is complete
	admitLine  = 'A' // user's lease id opened; holds held and tokens
	touchLine  = 'T' // user took a rate slot
	topUpLine  = 'U' // user's lease id holds held now
	settleLine = 'S' // user's lease id closed with record, which is new
	bookLine   = 'B' // user's lease id closed with a record that existed
	backLine   = 'W' // record, which is new, gives user and its project back what another cost
)

// notOpen is what a lease that was not open held when it was settled.
const notOpen usage.Nano = -1

type entry struct {
	kind     byte
	user, id string     // without spaces
	held     usage.Nano // notOpen: there was no lease, no account changes
	cost     usage.Nano
	tokens   int64 // held by an admission, given back by a settlement
	tat      int64
	record   []byte // JSON
}

// books says whether the entry changes ledger or totals.
func (e *entry) books() bool {
	return e.kind == settleLine || e.kind == bookLine || e.kind == backLine
}

// snapshot says whether the entry is one before endLine.
func (e *entry) snapshot() bool {
	return e.kind == rateLine || e.kind == minuteLine || e.kind == leaseLine
}

var crcTable = crc32.MakeTable(crc32.Castagnoli)

const crcLen = 8 // hexadecimal digits

func (e *entry) appendLine(b []byte) []byte {
	start := len(b)
	b = append(b, "00000000 "...)
	b = append(b, e.kind, ' ')
	b = append(b, orDash(e.user)...)
	b = append(b, ' ')
	b = append(b, orDash(e.id)...)
	for _, n := range [...]int64{int64(e.held), int64(e.cost), e.tokens, e.tat} {
		b = append(b, ' ')
		b = strconv.AppendInt(b, n, 10)
	}
	if e.record != nil {
		b = append(b, ' ')
		b = append(b, e.record...)
	}
	sum := checksum(b[start+crcLen:])
	copy(b[start:], sum[:])
	return append(b, '\n')
}

func checksum(b []byte) [crcLen]byte {
	const digits = "0123456789abcdef"
	var out [crcLen]byte
	sum := crc32.Checksum(b, crcTable)
	for i := range out {
		out[i] = digits[sum>>(28-4*i)&15]
	}
	return out
}

// parseLine reads a line without its newline. The entry keeps no part of it.
func parseLine(line []byte) (entry, error) {
	if len(line) < crcLen {
		return entry{}, errors.New("too short")
	}
	if checksum(line[crcLen:]) != [crcLen]byte(line[:crcLen]) {
		return entry{}, errors.New("checksum does not match")
	}
	f := strings.SplitN(string(line), " ", 9)
	if len(f) < 8 || len(f[1]) != 1 {
		return entry{}, errors.New("fields are missing")
	}
	e := entry{kind: f[1][0], user: f[2], id: f[3]}
	for i, dst := range [...]*int64{(*int64)(&e.held), (*int64)(&e.cost), &e.tokens, &e.tat} {
		n, err := strconv.ParseInt(f[4+i], 10, 64)
		if err != nil {
			return entry{}, err
		}
		*dst = n
	}
	if len(f) == 9 {
		e.record = []byte(f[8])
	}
	return e, nil
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// position is a place in the journal: a file's number and an offset in it.
type position struct {
	File   int   `json:"file"`
	Offset int64 `json:"offset"`
}

func (p position) follows(q position) bool {
	return p.File > q.File || p.File == q.File && p.Offset > q.Offset
}

// replay calls f for each good entry in the data of file n, with the place
// after it. Bad lines are skipped and counted: a torn last line after a kill,
// holes after a power cut. Each entry says all that is needed to book it, so
// what lies behind a hole still counts.
func replay(data []byte, n int, f func(e entry, after position)) (bad int) {
	at := position{File: n}
	for len(data) > 0 {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		at.Offset += int64(len(data) - len(rest))
		data = rest
		e, err := parseLine(line)
		if err != nil || !whole {
			bad++
			continue
		}
		f(e, at)
	}
	return bad
}

// parseRecord reads the entry's record.
func (e *entry) parseRecord() (r usage.Record, err error) {
	if err := json.Unmarshal(e.record, &r); err != nil {
		return r, fmt.Errorf("record %s: %w", e.id, err)
	}
	return r, nil
}

// lease is the lease that an entry speaks of.
func (e *entry) lease() admission.Lease {
	l := admission.Lease{ID: e.id, User: e.user, Reserved: e.held}
	l.Admitted = l.Period()
	return l
}
