// Package recipe keeps what a tenant writes once and uses often, prompt
// templates and chains: each under a name, in numbered versions that never
// change, with labels such as "production" that point to versions and can move.
package recipe

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/pattern"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Kind tells recipes of one name apart.
type Kind string

// The kinds.
const (
	Template Kind = "template"
	Chain    Kind = "chain"
)

// Limits.
const (
	MaxBody    = 256 << 10 // bytes of a version
	MaxName    = 64        // bytes of a name or a label
	MaxLabels  = 16        // of a recipe
	MaxVersion = 1 << 30
)

// Head is a recipe without the text of its versions.
type Head struct {
	Name    string
	Latest  int            // the highest version
	Labels  map[string]int // the version that each label points to
	Created time.Time      // of the first version
	Updated time.Time      // of the latest, or when a label moved
}

// Number is that of the version which ref means, whether or not there is one; 0
// for a label that there is not.
func (h *Head) Number(ref Ref) int {
	switch {
	case ref.Number > 0:
		return ref.Number
	case ref.Label != "":
		return h.Labels[ref.Label]
	}
	return h.Latest
}

// Version is one text of a recipe.
type Version struct {
	Name    string
	Number  int // from 1
	Body    json.RawMessage
	Created time.Time
	Author  string // the id of the key that wrote it
}

// Ref says which version is meant: a number, or a label, or, as the zero Ref,
// the latest one.
type Ref struct {
	Number int
	Label  string
}

// String is how ParseRef reads it; "" for the latest.
func (r Ref) String() string {
	if r.Number > 0 {
		return strconv.Itoa(r.Number)
	}
	return r.Label
}

var namePattern = pattern.Pattern{Expr: `^[A-Za-z][A-Za-z0-9._-]*$`}

// ValidName says whether s can name a recipe: a letter, then letters, digits,
// '.', '_' or '-'.
func ValidName(s string) bool { return len(s) <= MaxName && namePattern.Match(s) }

// latest is the word that always means the latest version.
const latest = "latest"

// ValidLabel says whether s can be a label: a name, so that it is never taken for
// a number, but not "latest".
func ValidLabel(s string) bool { return ValidName(s) && s != latest }

// ParseRef reads what follows the @ in "name@3" or "name@production"; "" and
// "latest" mean the latest version. ok is false for anything else.
func ParseRef(s string) (_ Ref, ok bool) {
	if s == "" || s == latest {
		return Ref{}, true
	}
	if n, err := strconv.Atoi(s); err == nil {
		return Ref{Number: n}, n > 0 && n <= MaxVersion && strconv.Itoa(n) == s
	}
	return Ref{Label: s}, ValidName(s)
}

// ReadRef reads a version in JSON: a number, a label or "latest"; null means the
// latest version, too. An error is fault.Invalid and about param.
func ReadRef(param string, value []byte) (Ref, error) {
	text, _ := rawjson.String(value)
	if n, isInt := rawjson.Int(value); isInt {
		text = strconv.FormatInt(n, 10)
	}
	if ref, ok := ParseRef(text); ok && (text != "" || rawjson.IsNull(value)) {
		return ref, nil
	}
	return Ref{}, WrongRef(param)
}

// WrongRef is the error for a version that ParseRef does not take.
func WrongRef(param string) error {
	return fault.Field(param, "'%s' must be a version's number, a label, or 'latest'.", param)
}

// Reader is what those need who only use recipes.
type Reader interface {
	// Version returns the version that ref means. It fails with fault.NotFound.
	Version(ctx context.Context, tenant string, kind Kind, name string, ref Ref) (Version, error)
}

// Store holds the recipes of tenants, who never see each other's. It is safe
// for concurrent use by many processes (the embedded one: by one). Limits and
// names are the caller's business. An error that is no fault.Error is a failure
// of the store.
type Store interface {
	Reader
	// Add stores v.Body, byte for byte, as the next version of v.Name, durably,
	// and points labels to it, all or nothing. v.Number is ignored, v.Created is
	// taken. If the latest version has the same bytes, no version is made, but
	// labels move to it; added says which. Versions added at the same time get
	// different numbers, and a number is never used again, not even after Delete.
	// It fails with fault.Conflict above MaxLabels labels.
	Add(ctx context.Context, tenant string, kind Kind, v Version, labels []string) (_ Version, _ Head, added bool, _ error)
	// Head returns a recipe's head. It fails with fault.NotFound.
	Head(ctx context.Context, tenant string, kind Kind, name string) (Head, error)
	// List returns up to limit heads with names above after, in order.
	List(ctx context.Context, tenant string, kind Kind, after string, limit int) ([]Head, error)
	// Versions returns up to limit versions with numbers below before (0: from
	// the latest on), newest first. It fails with fault.NotFound.
	Versions(ctx context.Context, tenant string, kind Kind, name string, before, limit int) ([]Version, error)
	// Label points label to a version, or removes it if number is 0. It fails
	// with fault.NotFound if there is no such recipe or version, and with
	// fault.Conflict above MaxLabels labels.
	Label(ctx context.Context, tenant string, kind Kind, name, label string, number int, at time.Time) (Head, error)
	// Delete removes a recipe with all its versions. It fails with
	// fault.NotFound.
	Delete(ctx context.Context, tenant string, kind Kind, name string) error
}

// Missing is the error for a recipe or a version that is not there. If it is the
// version, the error names that, as the field of the request.
func Missing(kind Kind, name string, ref Ref) error {
	switch {
	case ref.Number > 0:
		return &fault.Error{Kind: fault.NotFound, Param: "version", Message: fmt.Sprintf("The %s '%s' has no version %d.", kind, name, ref.Number)}
	case ref.Label != "":
		return &fault.Error{Kind: fault.NotFound, Param: "version", Message: fmt.Sprintf("The %s '%s' has no label '%s'.", kind, name, ref.Label)}
	}
	return fault.New(fault.NotFound, "There is no %s '%s'.", kind, name)
}

// TooManyLabels is the error for a recipe that has MaxLabels labels already.
func TooManyLabels() error {
	return fault.New(fault.Conflict, "There may be %d labels; remove one first.", MaxLabels)
}
