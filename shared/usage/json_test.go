package usage_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/usage"
)

// TestRecordJSON sets every field of a record, whatever fields there are, by
// itself and together with all the others.
func TestRecordJSON(t *testing.T) {
	check := func(name string, r usage.Record) {
		t.Helper()
		want, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(r.AppendJSON(nil)); got != string(want) {
			t.Errorf("%s: AppendJSON = %s, want %s", name, got, want)
		}
	}
	check("no field", usage.Record{})
	var all usage.Record
	full := reflect.ValueOf(&all).Elem()
	for i := range full.NumField() {
		name := full.Type().Field(i).Name
		fill(t, name, full.Field(i), i+1)
		var one usage.Record
		reflect.ValueOf(&one).Elem().Field(i).Set(full.Field(i))
		check(name, one)
	}
	check("all fields", all)
	if got := string(all.AppendJSON([]byte("before "))); got[:8] != "before {" {
		t.Errorf("AppendJSON does not append: %.20s", got)
	}
}

func fill(t *testing.T, name string, v reflect.Value, n int) {
	t.Helper()
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = time.Date(2026, 11, 23, 1, 2, 3, 450_000_000, time.UTC)
	case *usage.Nano:
		*x = usage.Nano(-n * 1_000_000_050)
	case *time.Duration:
		*x = time.Duration(n) * time.Millisecond
	case *string:
		*x = "é \"" + name + "\"\\\n"
	case *bool:
		*x = true
	case *int:
		*x = n
	case *int64:
		*x = int64(-n)
	case *[]string:
		*x = []string{name, "", "ü"}
	case *[]usage.Attempt:
		*x = []usage.Attempt{{Provider: "p", Model: "m", Status: 503, Error: "unavailable", Cost: 7}, {}}
	default:
		t.Fatalf("do not know how to fill %s %s", name, v.Type())
	}
}

// TestRecordJSONReadsBack is about texts that encoding/json escapes further.
func TestRecordJSONReadsBack(t *testing.T) {
	want := usage.Record{ID: "<a>&\u2028", Tags: []string{"</script>"}, User: "u", Time: time.Unix(1, 1).UTC()}
	var got usage.Record
	if err := json.Unmarshal(want.AppendJSON(nil), &got); err != nil || !cmp.Equal(got, want) {
		t.Errorf("read back %+v, %v, want %+v", got, err, want)
	}
}

func BenchmarkRecordJSON(b *testing.B) {
	r := usage.Record{ID: "Vbkthek4p54LbSaV", Time: time.Now().UTC(), User: "ana", Key: "JWRjwy0czkes", Operation: "chat", Asked: "gpt-4o-mini", Provider: "openai",
		Model: "gpt-4o-mini", Status: 200, Finish: "stop", Attempts: 1, InputTokens: 90, OutputTokens: 6, Cost: 17100, Reserved: 184500, TTFT: 1804000, Duration: 1809000, Overhead: 8000}
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.AppendJSON(make([]byte, 0, 512))
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			json.Marshal(r)
		}
	})
}
