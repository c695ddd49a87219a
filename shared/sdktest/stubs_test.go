package sdktest_test

import "testing"

func testGuarantees(t *testing.T, s *site) {}
