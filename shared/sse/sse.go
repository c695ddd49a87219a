// Package sse reads server-sent events from providers.
package sse

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// MaxEvent bounds the size of one event.
const MaxEvent = 16 << 20

// ErrTooLarge is returned for an event of more than MaxEvent bytes.
var ErrTooLarge = errors.New("sse: event too large")

// Event is one event. Its slices are valid until the next call of Next.
type Event struct {
	Name []byte // of the last event: line, if any
	Data []byte // the data: lines, joined by newlines
}

// Reader splits a stream into events. It takes LF, CRLF and CR-free mixtures
// of them, drops comments and events without data, and treats the end of input
// as the end of the last event, as providers do that forget the blank line.
type Reader struct {
	br    *bufio.Reader
	line  []byte // holds a line that did not fit the buffer
	data  []byte // holds the data of an event of several lines
	name  []byte
	start bool
}

// NewReader returns a Reader of r.
func NewReader(r io.Reader) *Reader {
	return &Reader{br: bufio.NewReaderSize(r, 32<<10), start: true}
}

// Reset makes the Reader read from src, keeping its buffers unless an
// extraordinary event has blown them up: Readers are pooled.
func (r *Reader) Reset(src io.Reader) {
	const usual = 1 << 20
	if cap(r.line) > usual {
		r.line = nil
	}
	if cap(r.data) > usual {
		r.data = nil
	}
	r.br.Reset(src)
	r.start = true
}

// Next returns the next event with data, or io.EOF after the last.
func (r *Reader) Next() (Event, error) {
	var ev Event
	lines := 0 // of data
	r.data, r.name = r.data[:0], r.name[:0]
	for {
		line, err := r.readLine()
		if err != nil {
			if err == io.EOF && lines > 0 {
				return ev, nil
			}
			return Event{}, err
		}
		if len(line) == 0 {
			if lines > 0 {
				return ev, nil
			}
			r.name, ev.Name = r.name[:0], nil
			continue
		}
		field, value, _ := bytes.Cut(line, []byte{':'})
		value = bytes.TrimPrefix(value, []byte{' '})
		switch {
		case len(field) == 4 && string(field) == "data":
			if len(r.data)+len(value) > MaxEvent {
				return Event{}, ErrTooLarge
			}
			// The common event is one line, and its data may stay where it is:
			// in the read buffer, as long as no other line is read after it.
			if lines > 0 {
				r.data = append(r.data, '\n')
			} else if r.blankFollows() {
				r.skipBlank()
				ev.Data = value
				return ev, nil
			}
			r.data = append(r.data, value...)
			ev.Data = r.data
			lines++
		case len(field) == 5 && string(field) == "event":
			r.name = append(r.name[:0], value...)
			ev.Name = r.name
		}
	}
}

// More reports whether another whole event has arrived already.
func (r *Reader) More() bool {
	n := r.br.Buffered()
	if n == 0 {
		return false
	}
	b, _ := r.br.Peek(n)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return false
		}
		b = b[i+1:]
		if len(b) > 0 && (b[0] == '\n' || b[0] == '\r' && len(b) > 1 && b[1] == '\n') {
			return true
		}
	}
}

// blankFollows reports whether the event's blank line is in the buffer.
func (r *Reader) blankFollows() bool {
	n := min(r.br.Buffered(), 2)
	b, _ := r.br.Peek(n)
	return n > 0 && b[0] == '\n' || n > 1 && b[0] == '\r' && b[1] == '\n'
}

func (r *Reader) skipBlank() {
	if b, _ := r.br.Peek(1); b[0] == '\r' {
		r.br.Discard(1)
	}
	r.br.Discard(1)
}

// readLine returns a line without its end. At the end of input it returns what
// is left, if anything, before io.EOF.
func (r *Reader) readLine() ([]byte, error) {
	line, err := r.br.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		r.line = append(r.line[:0], line...)
		for err == bufio.ErrBufferFull {
			line, err = r.br.ReadSlice('\n')
			if len(r.line)+len(line) > MaxEvent {
				return nil, ErrTooLarge
			}
			r.line = append(r.line, line...)
		}
		line = r.line
	}
	if err != nil && (err != io.EOF || len(line) == 0) {
		return nil, err
	}
	if r.start {
		r.start = false
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, nil
}
