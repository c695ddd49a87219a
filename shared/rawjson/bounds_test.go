//go:build unix

package rawjson_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/devmentor/ai-gateway/shared/growthtest"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// members is an object of so many members.
func members(n int) []byte {
	b := []byte{'{'}
	for i := range n {
		b = fmt.Appendf(b, `"m%d":1,`, i)
	}
	return append(bytes.TrimSuffix(b, []byte(",")), '}')
}

// TestManyMembersAreReadInLinearTime: a body of 6 MB has room for half a million.
func TestManyMembersAreReadInLinearTime(t *testing.T) {
	growthtest.Linear(t, "Object", 2_000, func(size int) func() {
		body := members(size)
		return func() {
			if _, err := rawjson.Object(nil, body, 8); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestObjectsOfTooManyMembersAreRefused(t *testing.T) {
	for n, ok := range map[int]bool{1 << 18: true, 1<<18 + 1: false} {
		object := members(n)
		fields, err := rawjson.Object(nil, object, 8)
		if nested := rawjson.Valid(fmt.Appendf(nil, `[%s]`, object), 8); (err == nil) != ok || (nested == nil) != ok {
			t.Errorf("Object of %d members = %v, in an array %v", n, err, nested)
		}
		if ok && len(fields) != n || len(rawjson.Fields(nil, object)) != n {
			t.Errorf("%d members are not all found", n)
		}
	}
}

func TestARepeatedNameIsFoundAmongMany(t *testing.T) {
	for _, n := range []int{2, 64, 65, 1000} {
		for _, again := range []int{0, n / 2, n - 1} {
			body := fmt.Appendf(bytes.TrimSuffix(members(n), []byte("}")), `,"m%d":2,"m0":3}`, again)
			want := fmt.Sprintf(`"m%d" is given twice at byte %d`, again, bytes.LastIndex(body, fmt.Appendf(nil, `"m%d":2`, again)))
			if _, err := rawjson.Object(nil, body, 8); err == nil || err.Error() != want {
				t.Errorf("the last of %d has the name of number %d: %v, want %s", n+1, again, err, want)
			}
		}
	}
}
