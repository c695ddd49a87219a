package openai

import "bytes"

// The relay of a stream looks at each chunk with the functions of this file
// only. They do not parse: they look for names. That is sound because a quote,
// a name, a quote and a colon are always a member's name: inside of a JSON
// string every quote has a backslash before it, so text that talks about
// "content": appears as \"content\":, and a string that merely is the name is
// followed by a comma or a bracket, never by a colon.

// plain reports whether a chunk of a stream needs no closer look, and how much
// generated text it holds: it has a delta, and nothing ends or fails. It jumps
// from colon to colon, which are far rarer than quotes.
func plain(chunk []byte) (n int, ok bool) {
	for i := 0; ; {
		colon := bytes.IndexByte(chunk[i:], ':')
		if colon < 0 {
			return n, ok
		}
		name := chunk[:i+colon]
		i += colon + 1
		for len(name) > 0 && name[len(name)-1] == ' ' {
			name = name[:len(name)-1]
		}
		if len(name) < 2 || name[len(name)-1] != '"' {
			continue // a colon in a string
		}
		switch name[len(name)-2] { // the last letters differ
		case 'a':
			if bytes.HasSuffix(name, []byte(`"delta"`)) {
				k, end := generated(chunk, space(chunk, i))
				n, i, ok = n+k, end, true
			}
		case 'n':
			if bytes.HasSuffix(name, []byte(`"finish_reason"`)) && !null(chunk, i) {
				return 0, false
			}
		case 'e':
			if bytes.HasSuffix(name, []byte(`"usage"`)) && !null(chunk, i) {
				return 0, false
			}
		case 'r':
			if bytes.HasSuffix(name, []byte(`"error"`)) && !null(chunk, i) {
				return 0, false
			}
		}
	}
}

// null reports whether the value behind the colon at b[i-1] is null.
func null(b []byte, i int) bool {
	i = space(b, i)
	return i < len(b) && b[i] == 'n'
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// generated returns how many bytes of generated text the message or delta
// beginning at b[i] holds, and where it ends. Text in content and refusal
// counts, and the names and arguments of calls; reasoning is counted once
// although some send it under two names.
func generated(b []byte, i int) (n, end int) {
	const (
		none = iota
		text
		reasoning
	)
	depth, kind, inContent, thought := 0, none, false, 0
	for i < len(b) {
		switch b[i] {
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
			if depth <= 0 {
				return n + thought, i
			}
			if depth == 1 {
				inContent = false
			}
			kind = none
		case '"':
			start := i + 1
			k, after := stringLen(b, start)
			i = after
			colon := space(b, i)
			if colon >= len(b) || b[colon] != ':' { // a value
				switch kind {
				case text:
					n += k
				case reasoning:
					thought = max(thought, k)
				}
				kind = none
				continue
			}
			i = space(b, colon+1)
			kind, inContent = none, inContent && depth > 1
			switch string(b[start : after-1]) {
			case "content":
				kind, inContent = text, depth == 1
			case "refusal", "arguments":
				kind = text
			case "name": // of a function; that of a message is not the model's
				if depth > 1 {
					kind = text
				}
			case "text": // of a part; elsewhere it repeats what is counted
				if inContent {
					kind = text
				}
			case "reasoning_content", "reasoning":
				kind = reasoning
			}
		default:
			i++
		}
	}
	return n + thought, len(b)
}

// stringLen returns the length of the text of a string whose first byte is b[i],
// unescaped and in UTF-8, and the position behind its closing quote.
func stringLen(b []byte, i int) (n, end int) {
	j := bytes.IndexByte(b[i:], '"')
	if j < 0 {
		return len(b) - i, len(b)
	}
	if bytes.IndexByte(b[i:i+j], '\\') < 0 {
		return j, i + j + 1
	}
	for i < len(b) {
		switch {
		case b[i] == '"':
			return n, i + 1
		case b[i] != '\\':
			n++
			i++
		case i+5 < len(b) && b[i+1] == 'u':
			n += utf8Len(b[i+2 : i+6])
			i += 6
		default:
			n++
			i += 2
		}
	}
	return n, len(b)
}

// utf8Len is the length in UTF-8 of the character with that hexadecimal
// number; each half of a surrogate pair counts as half of four bytes.
func utf8Len(hex []byte) int {
	switch {
	case hex[0] == '0' && hex[1] == '0' && hex[2] < '8':
		return 1
	case hex[0] == '0' && hex[1] < '8':
		return 2
	case (hex[0] == 'd' || hex[0] == 'D') && hex[1] >= '8':
		return 2
	}
	return 3
}
