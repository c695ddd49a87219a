package dynamo

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

func FuzzAccountSurvivesItsItem(f *testing.F) {
	f.Add("ada", "Ada", "proj", true, 2.5, int64(7), int64(-5), int64(1700000000000000), uint8(3), "openai/*")
	f.Add("", "", "", false, 0.0, int64(0), int64(0), int64(0), uint8(0), "")
	f.Add("a.b@c", "Ünal \x00", "p", true, 1e-9, admission.NoTokenLimit, int64(usage.None), int64(1)<<62, uint8(40), "*")
	f.Fuzz(func(t *testing.T, id, name, project string, active bool, rate float64, small, money, at int64, count uint8, model string) {
		if rate != rate {
			t.Skip("no rate is NaN")
		}
		want := admission.NewAccount(admission.User{ID: id, Name: name, Project: project, Active: active, Models: []string{model, "x"},
			Rate: rate, Burst: small, Parallel: small + 1, Tokens: small - 1, Day: usage.Nano(money), Month: usage.Nano(-money / 2),
			Created: time.Unix(0, at).UTC()})
		want.TAT, want.Gate, want.Inc, want.Gap, want.Version = at, at-small, small, money, small
		for i := range int64(count) {
			p := fmt.Sprint(i)
			want.DayLeft[p], want.MonthLeft["m"+p], want.TokensLeft["t"+p], want.Leases["l"+p] = usage.Nano(money-i), usage.Nano(i), small+i, usage.Nano(i)
			want.Keys["k"+p] = admission.Rule{Expires: at + i, Models: []string{model}, Scopes: []string{name, p}}
		}
		got, err := account(item(want))
		if err != nil {
			t.Fatalf("account(item(a)) = %v", err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("account(item(a)) (-want +got):\n%s", diff)
		}
	})
}

// A field that somebody adds to a struct and forgets here would be lost.
func TestEveryFieldIsStored(t *testing.T) {
	t.Run("Record", func(t *testing.T) {
		var want usage.Record
		fill(t, reflect.ValueOf(&want).Elem())
		got, err := record(recordItem(&want))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("record(recordItem(r)): %v (-want +got):\n%s", err, diff)
		}
	})
	t.Run("Key", func(t *testing.T) {
		var want admission.Key
		fill(t, reflect.ValueOf(&want).Elem())
		got, err := readKey(keyItem("ada", want))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("readKey(keyItem(k)): %v (-want +got):\n%s", err, diff)
		}
	})
	t.Run("Project", func(t *testing.T) {
		var want fund
		fill(t, reflect.ValueOf(&want.Project).Elem())
		want.version, want.transfers = 7, 8
		want.left = map[string]usage.Nano{"202611": 5, "202612": -6}
		want.draws = map[string]draw{"ada": {number: 1}, "b.o@b": {9, 10, "202611"}}
		it := want.item()
		got, err := readFund(it)
		if err != nil || !reflect.DeepEqual(want, *got) {
			t.Errorf("readFund(f.item()) = %+v, %v, want %+v", got, err, want)
		}
		if w := (&reader{item: it}).num("w"); usage.Nano(w) != 2*plenty {
			t.Errorf("w = %d, want %d for two members", w, 2*plenty)
		}
	})
	t.Run("Account", func(t *testing.T) {
		var want admission.Account
		fill(t, reflect.ValueOf(&want).Elem())
		got, err := account(item(&want))
		if err != nil {
			t.Fatalf("account(item(a)) = %v", err)
		}
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("account(item(a)) (-want +got):\n%s", diff)
		}
	})
}

// fill sets every field of v, and of what it holds, to something of its own.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	next := int64(0)
	var set func(v reflect.Value)
	set = func(v reflect.Value) {
		next++
		switch {
		case v.Type() == reflect.TypeFor[time.Time]():
			v.Set(reflect.ValueOf(time.Unix(1_700_000_000+next, 123_456_789).UTC()))
		case v.Kind() == reflect.String:
			v.SetString(fmt.Sprint("s", next))
		case v.Kind() == reflect.Bool:
			v.SetBool(true)
		case v.CanInt():
			v.SetInt(next)
		case v.CanFloat():
			v.SetFloat(float64(next) + 0.5)
		case v.Kind() == reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			set(v.Index(0))
			set(v.Index(1))
		case v.Kind() == reflect.Map:
			v.Set(reflect.MakeMap(v.Type()))
			value := reflect.New(v.Type().Elem()).Elem()
			set(value)
			v.SetMapIndex(reflect.ValueOf("k"), value)
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				set(v.Field(i))
			}
		default:
			t.Fatalf("cannot fill a %s: teach this test", v.Type())
		}
	}
	set(v)
}

func TestMalformedItemsAreErrors(t *testing.T) {
	good := admission.NewAccount(admission.User{ID: "ada", Models: []string{"*"}})
	good.Keys["h"], good.Leases["l"] = admission.Rule{Expires: 1, Models: []string{"*"}}, 5
	for name, bad := range map[string]types.AttributeValue{
		"pk": n(1), "nm": n(1), "st": str("1"), "D": str("5"), "tat": &types.AttributeValueMemberN{Value: "1.5"},
		"r":    &types.AttributeValueMemberN{Value: "fast"},
		"mods": &types.AttributeValueMemberL{Value: []types.AttributeValue{n(1)}}, "k": str("x"),
		"L": &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"l": str("much")}},
		"d": &types.AttributeValueMemberL{},
	} {
		it := item(good)
		it[name] = bad
		if a, err := account(it); !errors.Is(err, errItem) {
			t.Errorf("account with %s = %#v: %+v, %v, want errItem", name, bad, a, err)
		}
	}
	it := item(good)
	it["k"].(*types.AttributeValueMemberM).Value["h"] = n(1)
	if _, err := account(it); !errors.Is(err, errItem) {
		t.Errorf("account with a number for a rule = %v, want errItem", err)
	}
}

// DynamoDB takes expressions of at most 4 KB and 300 operators.
func TestExpressionsFit(t *testing.T) {
	if got, want := len(admitWrites), 20; got != want {
		t.Errorf("%d forms of admission, want %d", got, want)
	}
	for f, w := range admitWrites {
		if len(w.condition) > 1024 || len(w.update) > 512 {
			t.Errorf("form %+v: condition of %d and update of %d characters", f, len(w.condition), len(w.update))
		}
	}
	now := time.Now()
	l := admission.Lease{ID: requestid.New(now), User: "ada"}
	a := admission.NewAccount(admission.User{ID: "ada"})
	for i := range 1000 {
		a.TokensLeft[admission.Minute(now.Add(-time.Duration(i)*time.Hour))] = 1
	}
	in := (&Store{}).closeInput(l, 1, 1, 1, stale(a, now))
	if got := len(*in.UpdateExpression); got > 4096 || strings.Count(*in.UpdateExpression, ",") > 200 {
		t.Errorf("closing with 1000 stale periods: %d characters, want at most 4096", got)
	}
}

func TestStaleKeepsWhatAnOpenRequestCanBeChargedTo(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 30, 0, 0, time.UTC) // half an hour into a month
	a := admission.NewAccount(admission.User{ID: "ada"})
	for _, ago := range []time.Duration{-time.Minute, 0, time.Minute, 16 * time.Minute, 24 * time.Hour, 48 * time.Hour, 72 * time.Hour, 40 * 24 * time.Hour, 400 * 24 * time.Hour} {
		at := now.Add(-ago)
		a.DayLeft[admission.Day(at)], a.MonthLeft[admission.Month(at)], a.TokensLeft[admission.Minute(at)] = 1, 1, 1
	}
	got := map[string]bool{}
	for _, p := range stale(a, now) {
		got[p] = true
	}
	for p, want := range map[string]bool{
		"d20260301": false, "d20260228": false, "d20260226": true, "d20250125": true,
		"m202603": false, "m202602": false, "m202601": false, "m202501": true,
		"t" + admission.Minute(now): false, "t" + admission.Minute(now.Add(-time.Minute)): false,
		"t" + admission.Minute(now.Add(-48*time.Hour)): true,
	} {
		if got[p] != want {
			t.Errorf("stale holds %s = %v, want %v", p, got[p], want)
		}
	}
}

func TestGlimpsesStayBounded(t *testing.T) {
	var g glimpses
	now := time.Now()
	for i := range 3 * maxGlimpses {
		a := admission.NewAccount(admission.User{ID: fmt.Sprint(i)})
		a.TAT = now.Add(time.Hour).UnixMicro() // none can be dropped as idle
		g.note(a, now)
		if !g.busy(admission.Ask{User: a.ID, Now: now}) {
			t.Fatalf("user %d, seen last, is not known as busy", i)
		}
	}
	if len(g.of) > maxGlimpses {
		t.Errorf("%d users remembered, want at most %d", len(g.of), maxGlimpses)
	}
}

func TestProjectsThatAreRememberedAreBounded(t *testing.T) {
	var g fundGlimpses
	for i := range 3 * maxFunds {
		f := newFund(admission.Project{ID: fmt.Sprint(i), Month: 1000})
		g.note(f, "202611")
		if amount, sure := g.guess(f.ID, "202611", 5); !sure || amount != 125 {
			t.Fatalf("guess for the project seen last = %d, %v, want 125, true", amount, sure)
		}
	}
	if len(g.of) > maxFunds {
		t.Errorf("%d projects remembered, want at most %d", len(g.of), maxFunds)
	}
}

func TestGrants(t *testing.T) {
	for _, c := range []struct {
		left    usage.Nano
		members int
		need    usage.Nano
		want    usage.Nano
	}{
		{1000 * usage.Dollar, 10, 1, fullGrant},
		{1000 * usage.Dollar, 10, 3 * usage.Dollar, 3 * usage.Dollar},
		{8 * usage.Dollar, 10, 1, usage.Dollar / 10},
		{8 * usage.Dollar, 10, usage.Dollar, usage.Dollar},
		{79, 10, 1, 1},
		{5, 10, 5, 5},
		{800, 0, 1, 100},
	} {
		if got := grant(c.left, c.members, c.need); got != c.want {
			t.Errorf("grant(%d, %d, %d) = %d, want %d", c.left, c.members, c.need, got, c.want)
		}
	}
}

func BenchmarkAdmitInput(b *testing.B) {
	s := New(nil, "state", "ledger")
	now := time.Now()
	ask := admission.Ask{ID: requestid.New(now), User: "ada", KeyHash: "abcdefghijklmnopqrstuv", Scope: "inference", Lease: true,
		Model: "openai/gpt-4o-mini", Provider: "openai", Reserve: 2_462_550, Tokens: 4100, Now: now}
	b.ReportAllocs()
	for b.Loop() {
		if in := s.admitInput(ask, false, nil); in.UpdateExpression == nil {
			b.Fatal("no expression")
		}
	}
}

func BenchmarkReadAccount(b *testing.B) {
	a := admission.NewAccount(admission.User{ID: "ada", Models: []string{"*"}})
	for i := range 30 {
		a.Leases[requestid.New(time.Now().Add(time.Duration(i)*time.Millisecond))] = 2_462_550
	}
	it := item(a)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := account(it); err != nil {
			b.Fatal(err)
		}
	}
}
