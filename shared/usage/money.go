package usage

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Nano is an amount of money in nano-dollars (10⁻⁹ USD), the unit of every
// account. An int64 of it holds 9.2 billion dollars. Smaller units than cents
// are needed because requests are cheap: "hello" on a small model costs about
// 6,000 nano-dollars.
type Nano int64

// Dollar is one US dollar.
const Dollar Nano = 1e9

// None stands for "no limit". It is far above any real budget and far enough
// below the end of int64 that sums with it cannot overflow.
const None Nano = 1e15

// USD writes the amount in dollars, exactly, without trailing zeros.
func (n Nano) USD() string { return string(n.AppendUSD(make([]byte, 0, 24))) }

// AppendUSD appends what USD writes to dst.
func (n Nano) AppendUSD(dst []byte) []byte {
	v := uint64(n)
	if n < 0 {
		dst, v = append(dst, '-'), uint64(-n)
	}
	dst = strconv.AppendUint(dst, v/uint64(Dollar), 10)
	frac := v % uint64(Dollar)
	if frac == 0 {
		return dst
	}
	point := len(dst)
	dst = strconv.AppendUint(dst, frac+uint64(Dollar), 10) // whose first digit is a 1, then all nine decimals
	dst[point] = '.'
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// ParseUSD reads a non-negative number of dollars, exactly: a decimal one or, as
// some languages write small JSON numbers, one such as 6e-06. It refuses more
// than nine decimals and anything from None upward.
func ParseUSD(s string) (Nano, error) {
	s, err := plain(s)
	if err != nil {
		return 0, err
	}
	if whole, _, _ := strings.Cut(s, "."); len(whole) > 6 {
		return 0, fmt.Errorf("usage: %q is not an amount from 0 to 999999.999999999 dollars", s)
	}
	return parse(s)
}

// plain writes a number without its exponent.
func plain(s string) (string, error) {
	i := strings.IndexAny(s, "eE")
	if i < 0 {
		return s, nil
	}
	whole, frac, _ := strings.Cut(s[:i], ".")
	shift, err := strconv.Atoi(s[i+1:])
	if err != nil || shift < -30 || shift > 30 || whole == "" || len(s) > 40 {
		return "", fmt.Errorf("usage: %q is not an amount of dollars", s)
	}
	digits := strings.Repeat("0", 31) + whole + frac + strings.Repeat("0", 31)
	point := 31 + len(whole) + shift
	whole = strings.TrimLeft(digits[:point], "0")
	return cmp.Or(whole, "0") + "." + strings.TrimRight(digits[point:], "0"), nil
}

func parse(s string) (Nano, error) {
	whole, frac, _ := strings.Cut(s, ".")
	if whole == "" || len(whole) > 9 || len(frac) > 9 {
		return 0, fmt.Errorf("usage: %q is not an amount of dollars", s)
	}
	var v int64
	for _, c := range whole + frac + "000000000"[len(frac):] {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("usage: %q is not a plain decimal number", s)
		}
		v = v*10 + int64(c-'0')
	}
	return Nano(v), nil
}

// FromUSD rounds dollars to nano-dollars; for configuration and JSON numbers.
func FromUSD(usd float64) Nano { return Nano(math.Round(usd * float64(Dollar))) }

// MarshalJSON writes dollars as an exact JSON number.
func (n Nano) MarshalJSON() ([]byte, error) { return n.AppendUSD(nil), nil }

// UnmarshalJSON reads what MarshalJSON wrote: negative amounts and None too.
func (n *Nano) UnmarshalJSON(b []byte) error {
	s, neg := strings.CutPrefix(string(b), "-")
	v, err := parse(s)
	if neg {
		v = -v
	}
	*n = v
	return err
}
