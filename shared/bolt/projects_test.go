package bolt

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.etcd.io/bbolt"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

func allProjects(t *testing.T, s *Store) []admission.ProjectAccount {
	t.Helper()
	all, err := s.ListProjects(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestReopenedProjectsAreTheSame compares projects with what becomes of them
// after a restart, with everything in the ledger, in the journal, and in both.
func TestReopenedProjectsAreTheSame(t *testing.T) {
	for _, clean := range []bool{true, false} {
		for _, midway := range []bool{true, false} {
			dir := t.TempDir()
			s := openQuiet(t, dir, createFile)
			now := time.Now()
			for _, id := range []string{"a", "b", "c"} {
				createTestUser(t, s, id, func(u *admission.User) { u.Project = "from" })
				settle(t, s, admit(t, s, testAsk(id, now, 50)).Lease, 30)
			}
			if _, err := s.CreateProject(t.Context(), admission.Project{ID: "from", Month: 1000, Created: now.UTC()}); err != nil {
				t.Fatal(err)
			}
			lost := admit(t, s, testAsk("a", now, 60)).Lease
			if _, err := s.Settle(t.Context(), lost, lost.Unsettled()); err != nil {
				t.Fatal(err)
			}
			open := admit(t, s, testAsk("a", now, 70)).Lease
			seen, err := s.User(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			u := seen.User
			u.Project = "to"
			if _, err := s.UpdateUser(t.Context(), seen, u); err != nil {
				t.Fatal(err)
			}
			if midway {
				flush(t, s)
			}
			settle(t, s, open, 65)
			if _, err := s.WriteOff(t.Context(), "a", lost.ID); err != nil {
				t.Fatal(err)
			}
			if err := s.DeleteUser(t.Context(), "c"); err != nil {
				t.Fatal(err)
			}
			want := allProjects(t, s)
			month := admission.Month(now)
			if len(want) != 2 || want[0].Spent[month] != 90 || want[1].Spent[month] != 65 {
				t.Fatalf("projects = %+v, want 90 and 65 spent", want)
			}
			if clean {
				flush(t, s)
			}
			s.kill()
			for range 2 {
				s = openQuiet(t, dir, createFile)
				if diff := cmp.Diff(want, allProjects(t, s), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("clean %v, midway %v: projects (-before +after):\n%s", clean, midway, diff)
				}
				if _, err := s.Admit(t.Context(), testAsk("b", now, 911)); !admission.IsOverProject(err) {
					t.Errorf("Admit of more than is left = %v, want it refused", err)
				}
				s.kill()
			}
		}
	}
}

// TestDataWithoutProjectsOpens is about directories of before there were any.
func TestDataWithoutProjectsOpens(t *testing.T) {
	dir := t.TempDir()
	s := openQuiet(t, dir, createFile)
	createTestUser(t, s, "u", func(u *admission.User) { u.Project = "old" })
	err := s.db.Update(func(tx *bbolt.Tx) error {
		return errors.Join(tx.DeleteBucket(projectsBucket), tx.DeleteBucket(projectTotalsBucket))
	})
	if err != nil {
		t.Fatal(err)
	}
	s.kill()
	s = openTest(t, dir)
	settle(t, s, admit(t, s, testAsk("u", time.Now(), 50)).Lease, 30)
	flush(t, s)
	p, err := s.Project(t.Context(), "old")
	if err != nil || len(p.Members) != 1 || p.Spent[admission.Month(time.Now())] != 30 {
		t.Errorf("Project = %+v, %v, want a member and 30 spent", p, err)
	}
	// A month later the totals of long ago are gone.
	for i := range 4 {
		at := time.Now().AddDate(0, 0, 31*i)
		settle(t, s, admit(t, s, testAsk("u", at, 50)).Lease, 10)
		flush(t, s)
	}
	var spent map[string]usage.Nano
	err = s.db.View(func(tx *bbolt.Tx) (err error) {
		spent, err = readProjectTotals(tx, "old")
		return err
	})
	if err != nil || len(spent) != 2 {
		t.Errorf("totals = %v, %v, want those of two months", spent, err)
	}
}

// TestDeletedProjectsAreForgotten is about what is on its way to the ledger
// when a project ends and another of the same id begins.
func TestDeletedProjectsAreForgotten(t *testing.T) {
	dir := t.TempDir()
	s := openQuiet(t, dir, createFile)
	createTestUser(t, s, "u", func(u *admission.User) { u.Project = "p" })
	l := admit(t, s, testAsk("u", time.Now(), 50)).Lease
	if _, err := s.Settle(t.Context(), l, l.Unsettled()); err != nil {
		t.Fatal(err)
	}
	if err := wander(s, "u"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WriteOff(t.Context(), "u", l.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteProject(t.Context(), "p"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateProject(t.Context(), admission.Project{ID: "p", Month: 100, Created: time.Now()}); err != nil {
		t.Fatal(err)
	}
	flush(t, s)
	s.kill()
	s = openQuiet(t, dir, createFile)
	if p, err := s.Project(t.Context(), "p"); err != nil || len(p.Spent) != 0 {
		t.Errorf("Project = %+v, %v, want nothing spent", p, err)
	}
}

// TestProjectsNeedTheDisk checks that what cannot be stored does not happen.
func TestProjectsNeedTheDisk(t *testing.T) {
	s := openTest(t, t.TempDir())
	createTestUser(t, s, "u", func(u *admission.User) { u.Project = "p" })
	l := admit(t, s, testAsk("u", time.Now(), 50)).Lease
	if _, err := s.Settle(t.Context(), l, l.Unsettled()); err != nil {
		t.Fatal(err)
	}
	seen, err := s.Project(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	user, err := s.User(t.Context(), "u")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	u := user.User
	u.Project = ""
	_, createErr := s.CreateProject(t.Context(), admission.Project{ID: "q", Created: time.Now()})
	_, updateErr := s.UpdateProject(t.Context(), seen, admission.Project{ID: "p", Month: 1})
	_, moveErr := s.UpdateUser(t.Context(), user, u)
	_, offErr := s.WriteOff(t.Context(), "u", l.ID)
	for what, err := range map[string]error{"CreateProject": createErr, "UpdateProject": updateErr, "UpdateUser": moveErr, "WriteOff": offErr} {
		if !errors.Is(err, fault.Unavailable) {
			t.Errorf("%s on a closed store = %v, want Unavailable", what, err)
		}
	}
	if got := allProjects(t, s); !cmp.Equal(got, []admission.ProjectAccount{seen}, cmpopts.EquateEmpty()) {
		t.Errorf("projects = %+v, want them unchanged: %+v", got, seen)
	}
}
