package rawjson

import "encoding/json"

// LongNumber says whether a number in valid JSON is written with more than most
// characters: reading it takes time each time, and some do so again and again.
func LongNumber(data []byte, most int) bool {
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case c == '-' || '0' <= c && c <= '9':
			start := i
			for i < len(data) && inNumber(data[i]) {
				i++
			}
			if i-start > most {
				return true
			}
			i--
		}
	}
	return false
}

func inNumber(c byte) bool {
	return '0' <= c && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

// AtLeast is the least that Marshal makes of v, in bytes: a value as of
// encoding/json with numbers as json.Number. What else there may be in it counts
// as nothing. It stops counting above most, so that it can be asked before too
// much is made.
func AtLeast(v any, most int) int {
	switch v := v.(type) {
	case string:
		return 2 + len(v)
	case json.Number:
		return len(v)
	case json.RawMessage:
		return len(v)
	case bool, nil:
		return 4
	case []any:
		n := 2 + max(0, len(v)-1)
		for _, e := range v {
			if n > most {
				break
			}
			n += AtLeast(e, most-n)
		}
		return n
	case map[string]any:
		n := 2 + max(0, len(v)-1)
		for k, e := range v {
			if n > most {
				break
			}
			n += 3 + len(k) + AtLeast(e, most-n)
		}
		return n
	}
	return 0
}
