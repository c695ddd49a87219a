package shelf

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"math"
	"time"

	"github.com/devmentor/ai-gateway/shared/rag"
)

// A file begins with magic. Records follow, each a head and a payload:
//
//	length of the payload, its checksum, the position of the record that this
//	one replaces or 0, checksum of the head: 4, 4, 8, 4 bytes, big-endian
//
// The payload is the length of some JSON (a uvarint), that JSON, the text, the
// passages' texts, and their vectors, if they have any: little-endian float32.
// Without a payload the record only deletes another one.
const (
	magic    = "gwdocs1\n"
	headSize = 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// head is what precedes a payload.
type head struct {
	length   uint32
	sum      uint32
	replaces int64
}

func (h head) append(dst []byte) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, h.length)
	dst = binary.BigEndian.AppendUint32(dst, h.sum)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.replaces))
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[at:], castagnoli))
}

// parseHead says whether b begins with a head.
func parseHead(b []byte) (head, bool) {
	if len(b) < headSize || crc32.Checksum(b[:16], castagnoli) != binary.BigEndian.Uint32(b[16:]) {
		return head{}, false
	}
	return head{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), int64(binary.BigEndian.Uint64(b[8:]))}, true
}

// description is the JSON of a payload.
type description struct {
	ID       string    `json:"id"`
	Kind     rag.Kind  `json:"kind"`
	Language string    `json:"language,omitempty"`
	Metadata string    `json:"metadata,omitempty"` // as it was given: JSON in JSON would be rewritten
	Created  time.Time `json:"created"`
	Sum      string    `json:"sum"`
	Text     int       `json:"text"` // bytes
	Passages []passage `json:"passages"`

	Embedding  string `json:"embedding,omitempty"`
	Dimensions int    `json:"dimensions,omitempty"`
}

// passage is a passage without its text.
type passage struct {
	Length  int    `json:"n"`
	Context string `json:"c,omitempty"`
	Lead    int    `json:"l,omitempty"`
	Code    bool   `json:"x,omitempty"`
}

// encode returns a document's record, and what parsePayload would return.
func encode(d rag.Document, passages []rag.Passage, vectors [][]float32, replaces int64) (record []byte, about description, at int, err error) {
	about = description{ID: d.ID, Kind: d.Kind, Language: d.Language, Metadata: string(d.Metadata), Created: d.Created, Sum: contentSum(d), Text: len(d.Text),
		Passages: make([]passage, len(passages))}
	for i, p := range passages {
		about.Passages[i] = passage{len(p.Text), p.Context, p.Lead, p.Code}
	}
	if len(vectors) > 0 {
		about.Embedding, about.Dimensions = d.Embedding, len(vectors[0])
	}
	text, err := json.Marshal(about)
	if err != nil {
		return nil, about, 0, err
	}
	record = make([]byte, headSize, headSize+binary.MaxVarintLen64+len(text)+2*len(d.Text)+4*about.Dimensions*len(vectors))
	record = binary.AppendUvarint(record, uint64(len(text)))
	record = append(record, text...)
	at = len(record) - headSize
	record = append(record, d.Text...)
	for _, p := range passages {
		record = append(record, p.Text...)
	}
	for _, v := range vectors {
		for _, x := range v {
			record = binary.LittleEndian.AppendUint32(record, math.Float32bits(x))
		}
	}
	payload := record[headSize:]
	head{length: uint32(len(payload)), sum: crc32.Checksum(payload, castagnoli), replaces: replaces}.append(record[:0])
	return record, about, at, nil
}

var errRecord = errors.New("a record does not say what it should")

// parsePayload is the reverse of encode, but leaves the vectors to
// parseVectors. at is where the text begins within the payload; the passages
// follow it.
func parsePayload(payload []byte) (about description, passages []rag.Passage, at int, err error) {
	n, size := binary.Uvarint(payload)
	if size <= 0 || n > uint64(len(payload)-size) {
		return about, nil, 0, errRecord
	}
	at = size + int(n)
	if err := json.Unmarshal(payload[size:at], &about); err != nil {
		return about, nil, 0, err
	}
	pos := at + about.Text
	for _, p := range about.Passages {
		if about.Text < 0 || p.Length < 0 || pos+p.Length > len(payload) || p.Lead > p.Length {
			return about, nil, 0, errRecord
		}
		passages = append(passages, rag.Passage{Text: string(payload[pos : pos+p.Length]), Context: p.Context, Lead: p.Lead, Code: p.Code})
		pos += p.Length
	}
	if about.Dimensions < 0 || len(payload)-pos != 4*about.Dimensions*len(passages) {
		return about, nil, 0, errRecord
	}
	return about, passages, at, nil
}

// parseVectors reads the vectors at the end of a payload that parsePayload has
// read.
func parseVectors(payload []byte, about description) [][]float32 {
	if about.Dimensions == 0 {
		return nil
	}
	list := make([][]float32, len(about.Passages))
	rest := payload[len(payload)-4*about.Dimensions*len(list):]
	for i := range list {
		v := make([]float32, about.Dimensions)
		for j := range v {
			v[j] = math.Float32frombits(binary.LittleEndian.Uint32(rest[4*j:]))
		}
		list[i], rest = v, rest[4*about.Dimensions:]
	}
	return list
}
