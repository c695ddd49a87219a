package bolt

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Dump prints what the data directory holds: users, keys (nothing that opens a
// door), projects, recipes, conversations and the ledger. It changes nothing, and fails
// while a gateway runs.
func Dump(w io.Writer, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, fileName)); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("bolt: there is no data in %s yet", dir)
	}
	db, err := openFile(dir, true)
	if err != nil {
		return err
	}
	defer db.Close()
	out := bufio.NewWriter(w)
	var done position
	err = db.View(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if tx.Bucket(name) == nil {
				return fmt.Errorf("%s is not complete: bucket %q is missing", fileName, name)
			}
		}
		if b := tx.Bucket(metaBucket).Get(journalKey); b != nil {
			if err := json.Unmarshal(b, &done); err != nil {
				return err
			}
		}
		return dump(out, tx)
	})
	if err != nil {
		return fmt.Errorf("bolt: dump: %w", err)
	}
	if err := dumpJournal(out, dir, done); err != nil {
		return err
	}
	return out.Flush()
}

func dump(w io.Writer, tx *bbolt.Tx) error {
	fmt.Fprintln(w, "USERS")
	err := tx.Bucket(usersBucket).ForEach(func(id, b []byte) error {
		var u user
		if err := json.Unmarshal(b, &u); err != nil {
			return fmt.Errorf("user %s: %w", id, err)
		}
		t, err := readTotals(tx, u.ID)
		if err != nil {
			return err
		}
		dumpUser(w, u.User, t)
		keys, err := readKeys(tx, u.ID)
		for _, k := range keys {
			dumpKey(w, k)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := dumpProjects(w, tx); err != nil {
		return err
	}
	if err := dumpRecipes(w, tx); err != nil {
		return err
	}
	if err := dumpConversations(w, tx); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nLEDGER")
	return tx.Bucket(ledgerBucket).ForEach(func(_, b []byte) error {
		_, err := fmt.Fprintf(w, "%s\n", b)
		return err
	})
}

func dumpUser(w io.Writer, u admission.User, t *totals) {
	state := "active"
	if !u.Active {
		state = "inactive"
	}
	rate := "no rate limit"
	if u.Rate > 0 {
		rate = fmt.Sprintf("%g requests/s (burst %d)", u.Rate, u.Burst)
	}
	tokens := "no token limit"
	if u.Tokens < admission.NoTokenLimit {
		tokens = fmt.Sprintf("%d tokens/min", u.Tokens)
	}
	fmt.Fprintf(w, "%s %q %s, project %q, models %s\n", u.ID, u.Name, state, u.Project, strings.Join(u.Models, " "))
	fmt.Fprintf(w, "  %s, %s, %d at once, per day %s, per month %s\n", rate, tokens, u.Parallel, dollars(u.Day), dollars(u.Month))
	dumpSpent(w, t.Day)
	dumpSpent(w, t.Month)
}

func dumpSpent(w io.Writer, spent map[string]usage.Nano) {
	for _, period := range slices.Sorted(maps.Keys(spent)) {
		fmt.Fprintf(w, "  spent in %s: $%s\n", period, spent[period].USD())
	}
}

func dumpProjects(w io.Writer, tx *bbolt.Tx) error {
	all := tx.Bucket(projectsBucket)
	if all == nil {
		return nil
	}
	fmt.Fprintln(w, "\nPROJECTS")
	return all.ForEach(func(id, b []byte) error {
		var p project
		if err := json.Unmarshal(b, &p); err != nil {
			return fmt.Errorf("project %s: %w", id, err)
		}
		fmt.Fprintf(w, "%s %q, per month %s\n", p.ID, p.Name, dollars(p.Month))
		spent, err := readProjectTotals(tx, p.ID)
		dumpSpent(w, spent)
		return err
	})
}

func dumpKey(w io.Writer, k admission.Key) {
	state := "does not expire"
	switch {
	case k.Revoked:
		state = "revoked"
	case !k.Expires.IsZero():
		state = "expires " + k.Expires.Format(time.RFC3339)
	}
	fmt.Fprintf(w, "  key %s %q …%s, models %s, scopes %s, %s\n", k.ID, k.Name, k.Hint, strings.Join(k.Models, " "), strings.Join(k.Scopes, " "), state)
}

// dumpRecipes prints recipes, each with its versions below it.
func dumpRecipes(w io.Writer, tx *bbolt.Tx) error {
	heads := tx.Bucket(recipesBucket)
	if heads == nil {
		return nil
	}
	fmt.Fprintln(w, "\nRECIPES")
	return heads.ForEach(func(key, b []byte) error {
		var h recipeHead
		if err := json.Unmarshal(b, &h); err != nil {
			return fmt.Errorf("recipe %q: %w", key, err)
		}
		part := strings.SplitN(string(key), "\x00", 3)
		fmt.Fprintf(w, "%s %s of %s: latest %d", part[0], part[2], part[1], h.Latest)
		if h.Deleted {
			fmt.Fprint(w, ", deleted")
		}
		for _, l := range slices.Sorted(maps.Keys(h.Labels)) {
			fmt.Fprintf(w, ", %s %d", l, h.Labels[l])
		}
		fmt.Fprintln(w)
		return forPrefix(tx.Bucket(versionsBucket), append(bytes.Clone(key), 0), func(number, v []byte) error {
			var l versionLine
			body, err := cutLine(v, &l)
			if err != nil {
				return fmt.Errorf("version %s of %q: %w", number, key, err)
			}
			_, err = fmt.Fprintf(w, "  version %s, %s by %s: %s\n", bytes.TrimLeft(number, "0"), l.Created.Format(time.RFC3339), l.Author, body)
			return err
		})
	})
}

// dumpConversations prints conversations, each with its turns below it.
func dumpConversations(w io.Writer, tx *bbolt.Tx) error {
	all := tx.Bucket(conversationsBucket)
	if all == nil {
		return nil
	}
	fmt.Fprintln(w, "\nCONVERSATIONS")
	return all.ForEach(func(key, b []byte) error {
		c, err := parseConversation(key, b)
		if err != nil {
			return err
		}
		tenant, _, _ := bytes.Cut(key, []byte{0})
		fmt.Fprintf(w, "%s of %s: %q, expires %s", c.ID, tenant, c.Title, c.Expires.Format(time.RFC3339))
		if c.Metadata != nil {
			fmt.Fprintf(w, ", metadata %s", c.Metadata)
		}
		fmt.Fprintln(w)
		return forPrefix(tx.Bucket(turnsBucket), append(bytes.Clone(key), 0), func(request, v []byte) error {
			var l turnLine
			messages, err := cutLine(v, &l)
			if err != nil {
				return fmt.Errorf("turn %s of %q: %w", request, key, err)
			}
			_, err = fmt.Fprintf(w, "  %s, %s: %s\n", request, l.Created.Format(time.RFC3339), messages)
			return err
		})
	})
}

// forPrefix calls f with what follows prefix in each key that begins with it.
func forPrefix(b *bbolt.Bucket, prefix []byte, f func(rest, value []byte) error) error {
	c := b.Cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		if err := f(k[len(prefix):], v); err != nil {
			return err
		}
	}
	return nil
}

func dollars(n usage.Nano) string {
	if n >= usage.None {
		return "no budget"
	}
	return "$" + n.USD()
}

// dumpJournal prints what a killed process settled and did not get to write
// to the ledger.
func dumpJournal(w io.Writer, dir string, done position) error {
	files, err := journalFiles(dir)
	if err != nil {
		return err
	}
	for _, n := range files {
		if n < done.File {
			continue
		}
		data, err := os.ReadFile(journalName(dir, n))
		if err != nil {
			return err
		}
		replay(data, n, func(e entry, after position) {
			if e.record != nil && after.follows(done) {
				fmt.Fprintf(w, "%s (in the journal still)\n", e.record)
			}
		})
	}
	return nil
}
