package bolt

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/requestid"
)

// clients is how many requests are in flight at once in these benchmarks.
const clients = 32

// BenchmarkAdmitSettle is all that a request costs here: admission,
// settlement, journal and ledger, background work included. cpu-µs/op is what
// the process used, on all cores.
func BenchmarkAdmitSettle(b *testing.B) {
	for _, users := range []int{1, 1000} {
		b.Run(fmt.Sprintf("users=%d", users), func(b *testing.B) {
			s := openTest(b, b.TempDir())
			for i := range users {
				createTestUser(b, s, fmt.Sprint("user", i), nil)
			}
			measure(b, func(user int) {
				l := admit(b, s, testAsk(fmt.Sprint("user", user%users), time.Now(), 1000)).Lease
				settle(b, s, l, 700)
			})
			if err := s.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkPlainBbolt is the same work without journal and memory: the account
// is read and written in one transaction, and again with the record in another.
func BenchmarkPlainBbolt(b *testing.B) {
	for _, mode := range []string{"update, nosync", "batch, nosync", "batch, fsync"} {
		for _, users := range []int{1, 1000} {
			b.Run(fmt.Sprintf("%s/users=%d", mode, users), func(b *testing.B) {
				db, err := bbolt.Open(filepath.Join(b.TempDir(), fileName), 0o600, nil)
				if err != nil {
					b.Fatal(err)
				}
				defer db.Close()
				db.NoSync = mode != "batch, fsync"
				run := db.Batch
				if mode == "update, nosync" {
					run = db.Update
				}
				p := plain{b: b, run: run}
				if err := db.Update(p.create(users)); err != nil {
					b.Fatal(err)
				}
				measure(b, func(user int) { p.request(fmt.Sprint("user", user%users)) })
				if err := db.Sync(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

type plain struct {
	b   *testing.B
	run func(func(tx *bbolt.Tx) error) error
}

func (p plain) create(users int) func(tx *bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		for i := range users {
			a := admission.NewAccount(admission.User{ID: fmt.Sprint("user", i), Active: true, Models: []string{"*"}, Burst: 1,
				Parallel: admission.MaxParallel, Tokens: admission.NoTokenLimit, Day: 1e15, Month: 1e15})
			a.Keys[testHash] = admission.Rule{Expires: admission.Never, Models: []string{"*"}, Scopes: []string{"inference"}}
			if err := put(tx, usersBucket, []byte(a.ID), a); err != nil {
				return err
			}
		}
		return nil
	}
}

func (p plain) request(user string) {
	ask := testAsk(user, time.Now(), 1000)
	p.change(user, func(_ *bbolt.Tx, a *admission.Account) error {
		if err := a.Refusal(ask); err != nil {
			return err
		}
		a.Admit(ask)
		return nil
	})
	at, _ := requestid.Time(ask.ID)
	l := admission.Lease{ID: ask.ID, User: user, Reserved: 1000, Admitted: at}
	p.change(user, func(tx *bbolt.Tx, a *admission.Account) error {
		a.Settle(l, 700, 0)
		return put(tx, ledgerBucket, ledgerKey(user, l.ID), testRecord(l, 700))
	})
}

func (p plain) change(user string, f func(tx *bbolt.Tx, a *admission.Account) error) {
	err := p.run(func(tx *bbolt.Tx) error {
		var a admission.Account
		if err := json.Unmarshal(tx.Bucket(usersBucket).Get([]byte(user)), &a); err != nil {
			return err
		}
		if err := f(tx, &a); err != nil {
			return err
		}
		return put(tx, usersBucket, []byte(user), a)
	})
	if err != nil {
		p.b.Error(err)
	}
}

func measure(b *testing.B, request func(user int)) {
	var next atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(clients / 2)
	before := cpu(b)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		r := rand.New(rand.NewPCG(1, uint64(next.Add(1))))
		for pb.Next() {
			request(r.IntN(1 << 20))
		}
	})
	b.StopTimer()
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
