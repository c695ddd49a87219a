package sse_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/devmentor/ai-gateway/shared/sse"
)

func read(r io.Reader) (got []string, err error) {
	sr := sse.NewReader(r)
	for {
		ev, err := sr.Next()
		if err != nil {
			return got, err
		}
		got = append(got, fmt.Sprintf("%s|%s", ev.Name, ev.Data))
	}
}

var long = strings.Repeat("x", 100_000)

var streams = []struct{ name, in, want string }{
	{"plain", "data: a\n\ndata: b\n\n", "|a,|b"},
	{"named", "event: ping\ndata: {}\n\ndata: b\n\n", "ping|{},|b"},
	{"crlf", "event: x\r\ndata: a\r\n\r\ndata: b\r\n\r\n", "x|a,|b"},
	{"several data lines", "data: a\ndata: b\ndata:\n\n", "|a\nb\n"},
	{"comments and unknown fields", ": ping\n\nid: 7\nretry: 10\ndata: a\n\n: bye\n", "|a"},
	{"no space, extra space", "data:a\n\ndata:  b\n\n", "|a,| b"},
	{"no blank line at the end", "data: a\n\ndata: b", "|a,|b"},
	{"byte order mark", "\xef\xbb\xbfdata: a\n\n", "|a"},
	{"event without data", "event: x\n\ndata: a\n\n", "|a"},
	{"longer than the buffer", "data: " + long + "\n\ndata: b\n\n", "|" + long + ",|b"},
	{"long, in two lines", "data: " + long + "\ndata: b\n\n", "|" + long + "\nb"},
	{"empty", "", ""},
}

func TestNext(t *testing.T) {
	for _, tc := range streams {
		for how, wrap := range map[string]func(io.Reader) io.Reader{"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader} {
			got, err := read(wrap(strings.NewReader(tc.in)))
			if err != io.EOF || strings.Join(got, ",") != tc.want {
				t.Errorf("%s, %s: got %.80q, %v; want %.80q", tc.name, how, got, err, tc.want)
			}
		}
	}
}

func TestBrokenConnection(t *testing.T) {
	got, err := read(io.MultiReader(strings.NewReader("data: a\n\ndata: b"), iotest.ErrReader(io.ErrUnexpectedEOF)))
	if err != io.ErrUnexpectedEOF || len(got) != 1 {
		t.Errorf("got %q, %v: an event cut short by an error is not an event", got, err)
	}
}

func TestTooLarge(t *testing.T) {
	for name, in := range map[string]string{"one line": "data: " + strings.Repeat("x", sse.MaxEvent), "many lines": strings.Repeat("data: "+long+"\n", sse.MaxEvent/len(long)+2)} {
		if _, err := read(strings.NewReader(in)); err != sse.ErrTooLarge {
			t.Errorf("%s: error %v, want ErrTooLarge", name, err)
		}
	}
}

// TestMore: a writer that waits while More is true must never wait for an
// event that has arrived only in part.
func TestMore(t *testing.T) {
	pr, pw := io.Pipe()
	r := sse.NewReader(pr)
	go pw.Write([]byte("data: a\n\ndata: b\n\ndata: c"))
	for i, want := range []bool{true, false} {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		if r.More() != want {
			t.Errorf("after event %d: More = %v, want %v", i, !want, want)
		}
	}
	go func() { pw.Write([]byte("\r\n\r\n")); pw.Close() }()
	if ev, err := r.Next(); err != nil || string(ev.Data) != "c" {
		t.Errorf("got %q, %v", ev.Data, err)
	}
}

func FuzzNext(f *testing.F) {
	for _, tc := range streams {
		f.Add([]byte(tc.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, err1 := read(strings.NewReader(string(in)))
		bytewise, err2 := read(iotest.OneByteReader(strings.NewReader(string(in))))
		if err1 != err2 || strings.Join(whole, "\x00") != strings.Join(bytewise, "\x00") {
			t.Fatalf("how the bytes arrive must not matter: %q vs %q", whole, bytewise)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	one := "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"
	in := strings.NewReader(strings.Repeat(one, 1000))
	r := sse.NewReader(in)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Next(); err == io.EOF {
			in.Seek(0, io.SeekStart)
			r.Reset(in)
		}
		r.More()
	}
}
