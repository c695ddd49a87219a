package tokens

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"io"

	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Media is a part of a message that is no text, as far as its tokens depend on
// it.
type Media struct {
	kind          mediaKind
	detail        string // of an image, as the client asks for it
	width, height int64  // of an image, in pixels; 0: unknown
	size          int64  // of a sound or a file, in bytes; 0: unknown
	seconds       int64  // of a sound, rounded up; 0: unknown
}

type mediaKind uint8

const (
	image mediaKind = iota
	sound
	file
	unknown
)

// usualSide is that of images of which nobody knows the size: what cameras take
// is made smaller, and what models paint has it.
const usualSide = 1024

// Image says whether m is one, and whether its size is known.
func (m Media) Image() (is, sized bool) { return m.kind == image, m.width > 0 }

// usual is m with a size, if it has none.
func (m Media) usual() Media {
	if m.width == 0 {
		m.width, m.height = usualSide, usualSide
	}
	return m
}

// MediaIn returns what of messages is no text, and how many bytes of their JSON
// that is.
func MediaIn(messages []byte) (list []Media, size int64) {
	if rawjson.Kind(messages) != "array" {
		return nil, 0
	}
	rawjson.Elements(messages, func(_ int, message []byte) error {
		content := rawjson.Get(rawjson.Fields(nil, message), "content")
		if rawjson.Kind(content) != "array" {
			return nil
		}
		return rawjson.Elements(content, func(_ int, part []byte) error {
			if m, ok := MediaOf(part); ok {
				list = append(list, m)
				size += int64(len(part))
			}
			return nil
		})
	})
	return list, size
}

// MediaOf reads one part of a message. It is not ok if that is a text.
func MediaOf(part []byte) (m Media, ok bool) {
	if rawjson.Kind(part) != "object" {
		return m, false
	}
	var buf [8]rawjson.Field
	fields := rawjson.Fields(buf[:0], part)
	if textIn(fields) != nil {
		return m, false
	}
	m.kind = unknown
	for _, f := range fields {
		if rawjson.Kind(f.Value) != "object" {
			continue
		}
		inner := rawjson.Fields(nil, f.Value)
		switch f.Name {
		case "image_url":
			m.kind = image
			m.detail, _ = rawjson.String(rawjson.Get(inner, "detail"))
			m.width, m.height = dimensions(inline(rawjson.Get(inner, "url")))
		case "input_audio":
			m.kind = sound
			data := inline(rawjson.Get(inner, "data"))
			m.size = decoded(data)
			m.seconds = duration(data, m.size)
		case "file":
			m.kind = file
			m.size = decoded(inline(rawjson.Get(inner, "file_data")))
		}
	}
	return m, true
}

// textIn is the text that a part of a message is; nil if it is none.
func textIn(part []rawjson.Field) []byte {
	for _, name := range []string{"text", "refusal"} {
		if v := rawjson.Get(part, name); rawjson.Kind(v) == "string" {
			return v
		}
	}
	return nil
}

// inline is the base64 data of a string in JSON, with or without "data:…," in
// front; nil if it is something else.
func inline(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	data := value[1 : len(value)-1]
	if bytes.HasPrefix(data, []byte("data:")) {
		head, rest, ok := bytes.Cut(data, []byte(","))
		if !ok || !bytes.HasSuffix(head, []byte(";base64")) {
			return nil
		}
		data = rest
	} else if bytes.IndexByte(data[:min(len(data), 16)], ':') >= 0 { // the address of something
		return nil
	}
	if bytes.IndexByte(data[:min(len(data), 4096)], '\\') >= 0 { // some write / so
		return bytes.ReplaceAll(data, []byte(`\/`), []byte("/"))
	}
	return data
}

// decoded is about how many bytes base64 data stands for.
func decoded(data []byte) int64 { return int64(len(data)) / 4 * 3 }

// dimensions reads the size of an image from the beginning of its data. They
// are 0 if it is not known.
func dimensions(data []byte) (width, height int64) {
	r := base64.NewDecoder(base64.StdEncoding, bytes.NewReader(data))
	head := make([]byte, 30)
	n, _ := io.ReadFull(r, head)
	head = head[:n]
	le16 := func(at int) int64 { return int64(binary.LittleEndian.Uint16(head[at:])) }
	le24 := func(at int) int64 { return le16(at) + int64(head[at+2])<<16 }
	switch {
	case n >= 24 && string(head[:8]) == "\x89PNG\r\n\x1a\n":
		width, height = int64(binary.BigEndian.Uint32(head[16:])), int64(binary.BigEndian.Uint32(head[20:]))
	case n >= 10 && string(head[:4]) == "GIF8":
		width, height = le16(6), le16(8)
	case n == 30 && string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP":
		switch string(head[12:16]) {
		case "VP8 ":
			width, height = le16(26)&0x3fff, le16(28)&0x3fff
		case "VP8L":
			bits := binary.LittleEndian.Uint32(head[21:])
			width, height = int64(bits&0x3fff)+1, int64(bits>>14&0x3fff)+1
		case "VP8X":
			width, height = le24(24)+1, le24(27)+1
		}
	case n >= 4 && head[0] == 0xff && head[1] == 0xd8:
		width, height = jpegSize(io.MultiReader(bytes.NewReader(head[2:]), r))
	}
	if width <= 0 || height <= 0 || width > 1<<20 || height > 1<<20 {
		return 0, 0
	}
	return width, height
}

// jpegSize looks for the frame, which stands behind what cameras and programs
// have to say, of up to 64 KB each.
func jpegSize(r io.Reader) (width, height int64) {
	var b [5]byte
	for {
		if _, err := io.ReadFull(r, b[:2]); err != nil || b[0] != 0xff {
			return 0, 0
		}
		for b[1] == 0xff { // fill bytes
			if _, err := io.ReadFull(r, b[1:2]); err != nil {
				return 0, 0
			}
		}
		kind := b[1]
		if kind == 0x01 || kind >= 0xd0 && kind <= 0xd8 { // these have no content
			continue
		}
		if _, err := io.ReadFull(r, b[:2]); err != nil {
			return 0, 0
		}
		length := int64(binary.BigEndian.Uint16(b[:])) - 2
		if kind >= 0xc0 && kind <= 0xcf && kind != 0xc4 && kind != 0xc8 && kind != 0xcc {
			if _, err := io.ReadFull(r, b[:5]); err != nil {
				return 0, 0
			}
			return int64(binary.BigEndian.Uint16(b[3:])), int64(binary.BigEndian.Uint16(b[1:]))
		}
		if _, err := io.CopyN(io.Discard, r, length); err != nil || length < 0 || kind == 0xda {
			return 0, 0
		}
	}
}

// Sounds are hardly compressed to less than 6 kbit a second, nor to more than
// 320. Those that are not compressed take up to 1.2 MB: two channels of 192 kHz
// and 24 bits.
const (
	thinSound = 750
	fatSound  = 40_000
	rawSound  = 1_200_000
)

// duration is how many seconds a sound has at most. A WAV file says how many
// bytes each takes, twice: once outright, and once as samples and their size,
// which is what programs play. Whoever wrote it may have reasons to say more, so
// the lower figure counts, and one beyond all use does not.
func duration(data []byte, size int64) int64 {
	rate := int64(0)
	var head [34]byte
	if _, err := io.ReadFull(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(data)), head[:]); err == nil && string(head[:4]) == "RIFF" && string(head[8:16]) == "WAVEfmt " {
		rate = min(int64(binary.LittleEndian.Uint32(head[28:])), int64(binary.LittleEndian.Uint32(head[24:]))*int64(binary.LittleEndian.Uint16(head[32:])))
	}
	if rate < thinSound || rate > rawSound {
		rate = thinSound
	}
	return over(size, rate)
}
