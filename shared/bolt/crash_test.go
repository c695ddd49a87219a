package bolt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// childDir tells a copy of this test binary to be the process that is killed.
const childDir = "BOLT_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	os.Exit(m.Run())
}

// child admits and settles until it is killed. It says on its standard output
// what has happened for sure: "A user id" admitted, "S user id cost" settled.
func child(dir string) {
	s, err := Open(dir)
	if err != nil {
		fmt.Println("F", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(os.Stdout, format+"\n", args...) // unbuffered: one write
	}
	for i := range 4 {
		go func() {
			for {
				user := fmt.Sprint("user", rand.IntN(3))
				g, err := s.Admit(context.Background(), testAsk(user, time.Now(), 1000))
				if err != nil {
					say("F %v", err)
					return
				}
				l := g.Lease
				say("A %s %s", user, l.ID)
				if i == 0 {
					if l, err = s.TopUp(context.Background(), l, 3000); err != nil {
						say("F %v", err)
					}
				}
				if rand.IntN(10) == 0 {
					continue // never settled: its client hangs
				}
				cost := usage.Nano(rand.IntN(2000))
				r, err := s.Settle(context.Background(), l, testRecord(l, cost))
				if err != nil {
					say("F %v", err)
					return
				}
				say("S %s %s %d", user, l.ID, int64(r.Cost))
			}
		}()
	}
	for { // the ledger is written far more often than once a second
		time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
		if err := wander(s, "user2"); err != nil {
			say("F %v", err)
		}
		if err := s.Flush(context.Background()); err != nil {
			say("F %v", err)
		}
		s.saving.Lock()
		err := s.rotate()
		s.saving.Unlock()
		if err != nil {
			say("F %v", err)
		}
	}
}

// wander moves a user to the other of two projects.
func wander(s *Store, user string) error {
	seen, err := s.User(context.Background(), user)
	if err != nil {
		return err
	}
	u := seen.User
	u.Project = map[string]string{"p": "q", "q": "p"}[u.Project]
	_, err = s.UpdateUser(context.Background(), seen, u)
	return err
}

func TestKilledProcessLosesNothing(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	for i := range 3 {
		createTestUser(t, s, fmt.Sprint("user", i), func(u *admission.User) { u.Project = "p" })
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	admitted, settled := map[string]bool{}, map[string]usage.Nano{}
	for round := range rounds {
		lines := 1 + rand.IntN(2000)
		if round%3 == 2 {
			lines = 0 // is killed while it starts and recovers
		}
		runChild(t, dir, lines, func(f []string) {
			switch f[0] {
			case "A":
				admitted[f[2]] = true
			case "S":
				var cost int64
				fmt.Sscan(f[3], &cost)
				settled[f[2]] = usage.Nano(cost)
			case "F":
				t.Errorf("the child failed: %v", f)
			}
		})
		if rand.IntN(2) == 0 { // else the next child recovers
			verify(t, dir, admitted, settled)
		}
	}
	verify(t, dir, admitted, settled)
	if len(settled) == 0 || len(settled) == len(admitted) {
		t.Errorf("admitted %d, settled %d: too few to mean anything", len(admitted), len(settled))
	}
}

// runChild starts a child and hands what it says to said. It kills the child
// after so many lines, or, without any, at some moment of its first 20 ms. A
// last line that is cut off is not said.
func runChild(t *testing.T, dir string, lines int, said func(fields []string)) {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^$")
	c.Env = append(os.Environ(), childDir+"="+dir)
	if testing.Verbose() {
		c.Stderr = os.Stderr
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	if lines == 0 {
		time.AfterFunc(time.Duration(rand.IntN(20_000))*time.Microsecond, func() { c.Process.Kill() })
	}
	r := bufio.NewReader(out)
	for n := 1; ; n++ {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if said(strings.Fields(line)); n == lines {
			c.Process.Kill() // SIGKILL; what the pipe holds is still read
		}
	}
}

// verify opens dir and checks that every admission ended in one record, that
// what was settled is what is recorded, and that accounts and ledger agree.
func verify(t *testing.T, dir string, admitted map[string]bool, settled map[string]usage.Nano) {
	t.Helper()
	s := openTest(t, dir)
	defer s.Close()
	recorded := map[string]usage.Record{}
	for i := range 3 {
		user := fmt.Sprint("user", i)
		for _, r := range checkBooks(t, s, user) {
			if _, twice := recorded[r.ID]; twice {
				t.Errorf("%s is recorded twice", r.ID)
			}
			recorded[r.ID] = r
		}
	}
	wantProjects(t, s, recorded, "p", "q")
	// What nobody knows the cost of is forgiven, some of it.
	for id, r := range recorded {
		if !r.Unsettled || rand.IntN(3) > 0 {
			continue
		}
		back, err := s.WriteOff(t.Context(), r.User, id)
		if err != nil {
			t.Errorf("WriteOff(%s) = %v", id, err)
		}
		recorded[back.ID] = back
	}
	wantProjects(t, s, recorded, "p", "q")
	for i := range 3 {
		checkBooks(t, s, fmt.Sprint("user", i))
	}
	for id := range admitted {
		if _, ok := recorded[id]; !ok {
			t.Errorf("%s was admitted and left no record", id)
		}
	}
	for id, cost := range settled {
		if r := recorded[id]; r.Cost != cost || r.Unsettled {
			t.Errorf("%s was settled at %d; its record says %d, unsettled %v", id, cost, r.Cost, r.Unsettled)
		}
	}
	for id, r := range recorded {
		if _, ok := settled[id]; !ok && r.Unsettled && r.Cost != 1000 && r.Cost != 3000 {
			t.Errorf("%s ended unsettled at %d, want what it held: 1000 or 3000", id, r.Cost)
		}
	}
}

// wantProjects checks that the projects have spent what the ledger says in all.
func wantProjects(t *testing.T, s *Store, ledger map[string]usage.Record, projects ...string) {
	t.Helper()
	want, got := map[string]usage.Nano{}, map[string]usage.Nano{}
	for _, r := range ledger {
		want[admission.Month(r.Time)] += r.Cost
	}
	for _, id := range projects {
		p, err := s.Project(t.Context(), id)
		if errors.Is(err, fault.NotFound) {
			continue // nobody went there yet
		}
		if err != nil {
			t.Fatal(err)
		}
		for month, spent := range p.Spent {
			got[month] += spent
		}
		for month, held := range p.Reserved {
			if held != 0 {
				t.Errorf("project %s holds %d in %s, want nothing", id, held, month)
			}
		}
	}
	for month, sum := range want {
		if got[month] != sum {
			t.Errorf("projects have spent %d in %s, the ledger says %d", got[month], month, sum)
		}
	}
}

// checkBooks compares the user's ledger with its account and its totals on
// disk, and returns the ledger. No lease may be open, all must be of one day.
func checkBooks(t *testing.T, s *Store, user string) []usage.Record {
	t.Helper()
	var all []usage.Record
	day, month := map[string]usage.Nano{}, map[string]usage.Nano{}
	for r, err := range s.Records(t.Context(), user, time.Unix(0, 0), time.Now().AddDate(9, 0, 0)) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
		at, err := requestid.Time(r.ID)
		if err != nil || !r.Time.Equal(at) {
			t.Errorf("record %s has the time %v, want %v of its id", r.ID, r.Time, at)
		}
		day[admission.Day(at)] += r.Cost
		month[admission.Month(at)] += r.Cost
	}
	a, err := s.User(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Leases) != 0 {
		t.Errorf("%s has %d open leases", user, len(a.Leases))
	}
	for p, sum := range day {
		if got := a.Day - a.DayLeft[p]; got != sum {
			t.Errorf("%s has spent %d on %s, the ledger says %d", user, got, p, sum)
		}
	}
	for p, sum := range month {
		if got := a.Month - a.MonthLeft[p]; got != sum {
			t.Errorf("%s has spent %d in %s, the ledger says %d", user, got, p, sum)
		}
	}
	return all
}

func createTestUser(t testing.TB, s *Store, id string, limit func(u *admission.User)) {
	t.Helper()
	u := admission.User{ID: id, Active: true, Models: []string{"*"}, Burst: 1, Parallel: admission.MaxParallel,
		Tokens: admission.NoTokenLimit, Day: 1000 * usage.Dollar, Month: usage.None}
	if limit != nil {
		limit(&u)
	}
	if _, err := s.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	k := admission.Key{ID: id, Hash: testHash, Models: []string{"*"}, Scopes: []string{"inference"}}
	if err := s.PutKey(t.Context(), id, k); err != nil {
		t.Fatal(err)
	}
}

const testHash = "0123456789012345678901"

func testAsk(user string, at time.Time, reserve usage.Nano) admission.Ask {
	return admission.Ask{ID: requestid.New(at), User: user, KeyHash: testHash, Scope: "inference",
		Model: "openai/gpt-4o-mini", Provider: "openai", Reserve: reserve, Tokens: 10, Lease: true, Now: at}
}

func testRecord(l admission.Lease, cost usage.Nano) usage.Record {
	return usage.Record{ID: l.ID, Time: l.Admitted, User: l.User, Key: "key", Operation: "chat", Asked: "openai/gpt-4o-mini", Stream: true,
		Provider: "openai", Model: "gpt-4o-mini", Status: 200, Finish: "stop", Attempts: 1, InputTokens: 11, OutputTokens: 222,
		Cost: cost, Reserved: l.Reserved, TTFT: 312345678, Duration: 1212345678, Overhead: 312345}
}

func TestOneProcessPerDirectory(t *testing.T) {
	dir := t.TempDir()
	openTest(t, dir)
	_, err := Open(dir)
	if err == nil || !strings.Contains(err.Error(), "another gateway uses the data directory "+dir) {
		t.Errorf("a second Open = %v, want an error that says who is in the way", err)
	}
}

func TestClosedStoreIsUnavailable(t *testing.T) {
	s := openTest(t, t.TempDir())
	createTestUser(t, s, "u", nil)
	l := admit(t, s, testAsk("u", time.Now(), 1)).Lease
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, admitErr := s.Admit(t.Context(), testAsk("u", time.Now(), 1))
	_, topUpErr := s.TopUp(t.Context(), l, 9)
	_, settleErr := s.Settle(t.Context(), l, testRecord(l, 1))
	_, recordErr := s.Record(t.Context(), "u", l.ID)
	_, createErr := s.CreateUser(t.Context(), admission.User{ID: "v"})
	for what, err := range map[string]error{"Admit": admitErr, "TopUp": topUpErr, "Settle": settleErr, "Record": recordErr, "CreateUser": createErr} {
		if !errors.Is(err, fault.Unavailable) {
			t.Errorf("%s on a closed store = %v, want Unavailable", what, err)
		}
	}
}

func admit(t testing.TB, s *Store, a admission.Ask) admission.Grant {
	t.Helper()
	g, err := s.Admit(t.Context(), a)
	if err != nil {
		t.Fatalf("Admit = %v", err)
	}
	return g
}

func settle(t testing.TB, s *Store, l admission.Lease, cost usage.Nano) usage.Record {
	t.Helper()
	r, err := s.Settle(t.Context(), l, testRecord(l, cost))
	if err != nil {
		t.Fatalf("Settle = %v", err)
	}
	return r
}
