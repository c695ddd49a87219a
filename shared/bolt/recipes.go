package bolt

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/devmentor/ai-gateway/shared/recipe"
)

// These buckets are made when something is first put in them: files written
// before there were recipes have none.
var (
	recipesBucket  = []byte("recipes")  // kind \0 tenant \0 name → recipeHead
	versionsBucket = []byte("versions") // kind \0 tenant \0 name \0 number → versionLine, newline, body
)

// Recipes implements recipe.Store. Every change is one transaction, on disk
// when it returns.
type Recipes struct{ db *bbolt.DB }

var _ recipe.Store = (*Recipes)(nil)

// Recipes returns the templates and chains in s, which must stay open.
func (s *Store) Recipes() *Recipes { return &Recipes{db: s.db} }

// recipeHead is a head as it is stored. That of a deleted recipe stays, because
// its numbers must not be used again.
type recipeHead struct {
	Latest  int            `json:"latest"`
	Labels  map[string]int `json:"labels,omitempty"`
	Created time.Time      `json:"created"`
	Updated time.Time      `json:"updated"`
	Deleted bool           `json:"deleted,omitempty"`
}

func (h *recipeHead) head(name string) recipe.Head {
	return recipe.Head{Name: name, Latest: h.Latest, Labels: h.Labels, Created: h.Created, Updated: h.Updated}
}

// point lets label mean a version, and says whether that is new.
func (h *recipeHead) point(label string, number int) bool {
	if h.Labels[label] == number {
		return false
	}
	if h.Labels == nil {
		h.Labels = map[string]int{}
	}
	h.Labels[label] = number
	return true
}

// versionLine describes the body that follows it. The body is no part of it
// because encoding would change its bytes.
type versionLine struct {
	Created time.Time `json:"created"`
	Author  string    `json:"author"`
}

func recipeKey(tenant string, kind recipe.Kind, name string) []byte {
	return []byte(string(kind) + "\x00" + tenant + "\x00" + name)
}

// versionKey of number 0 begins the keys of all versions.
func versionKey(tenant string, kind recipe.Kind, name string, number int) []byte {
	key := append(recipeKey(tenant, kind, name), 0)
	if number == 0 {
		return key
	}
	return fmt.Appendf(key, "%010d", number)
}

// Add implements recipe.Store.
func (r *Recipes) Add(_ context.Context, tenant string, kind recipe.Kind, v recipe.Version, labels []string) (_ recipe.Version, _ recipe.Head, added bool, _ error) {
	var h recipeHead
	at := v.Created.UTC()
	err := r.db.Update(func(tx *bbolt.Tx) (err error) {
		if err := makeBuckets(tx, recipesBucket, versionsBucket); err != nil {
			return err
		}
		if h, err = readHead(tx, tenant, kind, v.Name); err != nil {
			return err
		}
		changed := false
		if h.Latest > 0 && !h.Deleted {
			latest, err := readVersion(tx, tenant, kind, v.Name, h.Latest)
			if err != nil {
				return err
			}
			if added = !bytes.Equal(latest.Body, v.Body); !added {
				v = latest
			}
		} else {
			h, added = recipeHead{Latest: h.Latest, Created: at}, true
		}
		if added {
			h.Latest++
			v.Number, v.Created, changed = h.Latest, at, true
			if err := putVersion(tx, tenant, kind, v); err != nil {
				return err
			}
		}
		for _, l := range labels {
			changed = h.point(l, v.Number) || changed
		}
		if len(h.Labels) > recipe.MaxLabels {
			return recipe.TooManyLabels()
		}
		if changed {
			h.Updated = at
		}
		return put(tx, recipesBucket, recipeKey(tenant, kind, v.Name), h)
	})
	if err != nil {
		return recipe.Version{}, recipe.Head{}, false, ours(err)
	}
	return v, h.head(v.Name), added, nil
}

// Version implements recipe.Reader.
func (r *Recipes) Version(_ context.Context, tenant string, kind recipe.Kind, name string, ref recipe.Ref) (v recipe.Version, err error) {
	err = r.db.View(func(tx *bbolt.Tx) error {
		h, err := presentHead(tx, tenant, kind, name)
		if err != nil {
			return err
		}
		head := h.head(name)
		v, err = readVersion(tx, tenant, kind, name, head.Number(ref))
		if err == nil && v.Number == 0 {
			return recipe.Missing(kind, name, ref)
		}
		return err
	})
	if err != nil {
		return recipe.Version{}, ours(err)
	}
	return v, nil
}

// Head implements recipe.Store.
func (r *Recipes) Head(_ context.Context, tenant string, kind recipe.Kind, name string) (recipe.Head, error) {
	var h recipeHead
	err := r.db.View(func(tx *bbolt.Tx) (err error) {
		h, err = presentHead(tx, tenant, kind, name)
		return err
	})
	if err != nil {
		return recipe.Head{}, ours(err)
	}
	return h.head(name), nil
}

// List implements recipe.Store.
func (r *Recipes) List(_ context.Context, tenant string, kind recipe.Kind, after string, limit int) ([]recipe.Head, error) {
	var page []recipe.Head
	err := r.db.View(func(tx *bbolt.Tx) error {
		heads := tx.Bucket(recipesBucket)
		if heads == nil {
			return nil
		}
		prefix, last := recipeKey(tenant, kind, ""), recipeKey(tenant, kind, after)
		c := heads.Cursor()
		for k, b := c.Seek(last); bytes.HasPrefix(k, prefix) && len(page) < limit; k, b = c.Next() {
			var h recipeHead
			if err := json.Unmarshal(b, &h); err != nil {
				return fmt.Errorf("recipe %q: %w", k, err)
			}
			if !h.Deleted && !bytes.Equal(k, last) {
				page = append(page, h.head(string(k[len(prefix):])))
			}
		}
		return nil
	})
	return page, unavailable(err)
}

// Versions implements recipe.Store.
func (r *Recipes) Versions(_ context.Context, tenant string, kind recipe.Kind, name string, before, limit int) ([]recipe.Version, error) {
	var page []recipe.Version
	err := r.db.View(func(tx *bbolt.Tx) error {
		h, err := presentHead(tx, tenant, kind, name)
		if err != nil {
			return err
		}
		if before == 0 || before > h.Latest {
			before = h.Latest + 1
		}
		for number := before - 1; number > 0 && len(page) < limit; number-- {
			v, err := readVersion(tx, tenant, kind, name, number)
			if err != nil {
				return err
			}
			if v.Number == 0 {
				return nil // what is below was deleted with an earlier recipe of that name
			}
			page = append(page, v)
		}
		return nil
	})
	if err != nil {
		return nil, ours(err)
	}
	return page, nil
}

// Label implements recipe.Store.
func (r *Recipes) Label(_ context.Context, tenant string, kind recipe.Kind, name, label string, number int, at time.Time) (recipe.Head, error) {
	var h recipeHead
	err := r.db.Update(func(tx *bbolt.Tx) (err error) {
		if h, err = presentHead(tx, tenant, kind, name); err != nil {
			return err
		}
		if _, is := h.Labels[label]; number == 0 && is {
			delete(h.Labels, label)
			h.Updated = at.UTC()
		}
		if number != 0 {
			if tx.Bucket(versionsBucket).Get(versionKey(tenant, kind, name, number)) == nil {
				return recipe.Missing(kind, name, recipe.Ref{Number: number})
			}
			if h.point(label, number) {
				h.Updated = at.UTC()
			}
		}
		if len(h.Labels) > recipe.MaxLabels {
			return recipe.TooManyLabels()
		}
		return put(tx, recipesBucket, recipeKey(tenant, kind, name), h)
	})
	if err != nil {
		return recipe.Head{}, ours(err)
	}
	return h.head(name), nil
}

// Delete implements recipe.Store.
func (r *Recipes) Delete(_ context.Context, tenant string, kind recipe.Kind, name string) error {
	return ours(r.db.Update(func(tx *bbolt.Tx) error {
		h, err := presentHead(tx, tenant, kind, name)
		if err != nil {
			return err
		}
		if _, err := deletePrefix(tx, versionsBucket, versionKey(tenant, kind, name, 0), -1); err != nil {
			return err
		}
		return put(tx, recipesBucket, recipeKey(tenant, kind, name), recipeHead{Latest: h.Latest, Deleted: true})
	}))
}

// deletePrefix deletes what has keys that begin with prefix, at most limit of
// them unless that is negative, and returns how many it deleted.
func deletePrefix(tx *bbolt.Tx, bucket, prefix []byte, limit int) (n int, err error) {
	b := tx.Bucket(bucket)
	if b == nil {
		return 0, nil
	}
	c := b.Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix) && n != limit; k, _ = c.Seek(prefix) {
		if err := c.Delete(); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// readHead returns a head, deleted or not; one whose Latest is 0 if there is none.
func readHead(tx *bbolt.Tx, tenant string, kind recipe.Kind, name string) (h recipeHead, err error) {
	heads := tx.Bucket(recipesBucket)
	if heads == nil {
		return h, nil
	}
	key := recipeKey(tenant, kind, name)
	if b := heads.Get(key); b != nil {
		if err := json.Unmarshal(b, &h); err != nil {
			return h, fmt.Errorf("recipe %q: %w", key, err)
		}
	}
	return h, nil
}

// presentHead fails with fault.NotFound if there is no such recipe.
func presentHead(tx *bbolt.Tx, tenant string, kind recipe.Kind, name string) (recipeHead, error) {
	h, err := readHead(tx, tenant, kind, name)
	if err == nil && (h.Latest == 0 || h.Deleted) {
		return recipeHead{}, recipe.Missing(kind, name, recipe.Ref{})
	}
	return h, err
}

// readVersion returns a version; one whose Number is 0 if there is none.
func readVersion(tx *bbolt.Tx, tenant string, kind recipe.Kind, name string, number int) (recipe.Version, error) {
	key := versionKey(tenant, kind, name, number)
	b := tx.Bucket(versionsBucket).Get(key)
	if b == nil || number == 0 {
		return recipe.Version{}, nil
	}
	var l versionLine
	body, err := cutLine(b, &l)
	if err != nil {
		return recipe.Version{}, fmt.Errorf("version %q: %w", key, err)
	}
	return recipe.Version{Name: name, Number: number, Body: body, Created: l.Created, Author: l.Author}, nil
}

func putVersion(tx *bbolt.Tx, tenant string, kind recipe.Kind, v recipe.Version) error {
	return putLine(tx, versionsBucket, versionKey(tenant, kind, v.Name, v.Number), versionLine{v.Created, v.Author}, v.Body)
}

// putLine stores a line of JSON and after it text as it is.
func putLine(tx *bbolt.Tx, bucket, key []byte, line any, text []byte) error {
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	return tx.Bucket(bucket).Put(key, append(append(b, '\n'), text...))
}

// cutLine reads what putLine stored; the text is a copy.
func cutLine(b []byte, line any) (text []byte, err error) {
	first, rest, _ := bytes.Cut(b, []byte("\n"))
	return bytes.Clone(rest), json.Unmarshal(first, line)
}
