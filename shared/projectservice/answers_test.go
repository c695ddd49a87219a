package projectservice_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/projectservice"
)

func TestAnswersAreKeptAsLongAsTheyMay(t *testing.T) {
	for _, tc := range []struct {
		header []string
		want   time.Duration
	}{
		{nil, 0},
		{[]string{"Cache-Control", "max-age=60"}, time.Minute},
		{[]string{"Cache-Control", `private, Max-Age="60"`}, time.Minute},
		{[]string{"Cache-Control", "private", "Cache-Control", "max-age=60"}, time.Minute},
		{[]string{"Cache-Control", "max-age=86400"}, 5 * time.Minute},
		{[]string{"Cache-Control", "max-age=60", "Age", "20"}, 40 * time.Second},
		{[]string{"Cache-Control", "max-age=60", "Age", "60"}, 0},
		{[]string{"Cache-Control", "max-age=60", "Age", "-60"}, time.Minute},
		{[]string{"Cache-Control", "max-age=0"}, 0},
		{[]string{"Cache-Control", "max-age=-5"}, 0},
		{[]string{"Cache-Control", "max-age=soon"}, 0},
		{[]string{"Cache-Control", "max-age=60, no-store"}, 0},
		{[]string{"Cache-Control", "no-store", "Cache-Control", "max-age=60"}, 0},
		{[]string{"Cache-Control", "no-cache, max-age=60"}, 0},
		{[]string{"Cache-Control", "public, s-maxage=60"}, 0},
		{[]string{"Expires", "Thu, 01 Jan 2099 00:00:00 GMT"}, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{answer: reply(200, `{"context":"x"}`, tc.header...)}
			s := open(t, projectservice.Options{URL: "http://x", HTTP: w})
			asks := func() bool {
				text, err := s.Context(t.Context(), "ana", "id", "pump")
				if err != nil || text != "x" {
					t.Fatalf("%q: Context = %q, %v", tc.header, text, err)
				}
				return w.asked() > 0
			}
			if !asks() {
				t.Fatalf("%q: the first time, the service is not asked", tc.header)
			}
			if tc.want > 0 {
				time.Sleep(tc.want - time.Nanosecond)
				if asks() {
					t.Errorf("%q: the service is asked again before %v", tc.header, tc.want)
				}
				time.Sleep(time.Nanosecond)
			}
			if !asks() {
				t.Errorf("%q: the service is not asked again after %v", tc.header, tc.want)
			}
		})
	}
}

// TestNobodyGetsWhatAnotherWasTold: a kept answer is for one user and one
// project.
func TestNobodyGetsWhatAnotherWasTold(t *testing.T) {
	w := &wire{answer: func(r *http.Request) (*http.Response, error) {
		user, project := r.Header.Get("X-Gateway-User"), strings.Split(r.URL.Path, "/")[3]
		if user == "eve" {
			return reply(403, "")(r)
		}
		return reply(200, `{"context":"of `+user+" in "+project+`"}`, "Cache-Control", "max-age=300")(r)
	}}
	s := open(t, projectservice.Options{URL: "http://x", HTTP: w})
	for round := range 2 {
		for _, k := range [][2]string{{"ana", "pump"}, {"bob", "pump"}, {"ana", "pumpb"}, {"an", "apump"}, {"anap", "ump"}} {
			if text, err := s.Context(t.Context(), k[0], "id", k[1]); err != nil || text != "of "+k[0]+" in "+k[1] {
				t.Errorf("%s asks for %s and is told %q, %v", k[0], k[1], text, err)
			}
		}
		if _, err := s.Context(t.Context(), "eve", "id", "pump"); !errors.Is(err, fault.NotFound) {
			t.Errorf("eve asks for ana's project: %v, want not found", err)
		}
		if n, want := w.asked(), []int{6, 1}[round]; n != want {
			t.Errorf("round %d: %d questions, want %d", round, n, want)
		}
	}
}

// TestKeptAnswersAreBounded: 4 MiB, and what was asked for last stays.
func TestKeptAnswersAreBounded(t *testing.T) {
	w := &wire{answer: reply(200, `{"context":"`+strings.Repeat("x", 1_000_000)+`"}`, "Cache-Control", "max-age=300")}
	s := open(t, projectservice.Options{URL: "http://x", HTTP: w})
	ask := func(i int) int {
		if _, err := s.Context(t.Context(), "ana", "id", fmt.Sprint("p", i)); err != nil {
			t.Fatal(err)
		}
		return w.asked()
	}
	for i := range 4 {
		ask(i)
	}
	if ask(0) != 0 {
		t.Error("four of a megabyte are not kept")
	}
	ask(4)
	if ask(0) != 0 || ask(4) != 0 || ask(1) != 1 {
		t.Error("what was not asked for longest does not go first")
	}
}

// TestKeptAnswersOutliveTheService: and failures are not kept.
func TestKeptAnswersOutliveTheService(t *testing.T) {
	w := &wire{answer: reply(200, `{"context":"x"}`, "Cache-Control", "max-age=300")}
	s := open(t, projectservice.Options{URL: "http://x", HTTP: w})
	if _, err := s.Context(t.Context(), "ana", "id", "pump"); err != nil {
		t.Fatal(err)
	}
	w.says(reply(500, `{"context":"broken"}`, "Cache-Control", "max-age=300"))
	for range 9 {
		s.Context(t.Context(), "ana", "id", "other")
	}
	if text, err := s.Context(t.Context(), "ana", "id", "pump"); err != nil || text != "x" {
		t.Errorf("Context = %q, %v, want the kept answer", text, err)
	}
	if n := w.asked(); n != 6 {
		t.Errorf("%d questions, want the first and five failures", n)
	}
}
