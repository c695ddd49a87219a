package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets the test binary stand in for the command.
func TestMain(m *testing.M) {
	if os.Getenv("REPORT_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// module is a module with two packages: in the first one the race detector
// crashes until the file FLAG is there, in the second one a test fails if BAD
// says so and another one is skipped if SKIP does.
func module(t *testing.T) string {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module m\n\ngo 1.26\n",
		"a/a_test.go": "package a\n\nimport (\n\t\"fmt\"\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestA(t *testing.T) {\n\tf := os.Getenv(\"FLAG\")\n\tif _, err := os.Stat(f); err != nil {\n" +
			"\t\tos.WriteFile(f, nil, 0o600)\n\t\tfmt.Println(\"" + crash + ": tsan_rtl.cpp:282\")\n\t\tos.Exit(66)\n\t}\n}\n",
		"b/b_test.go": "package b\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestB(t *testing.T) {\n\tif os.Getenv(\"BAD\") != \"\" {\n\t\tt.Fatal(\"bad\")\n\t}\n}\n\n" +
			"func TestC(t *testing.T) {\n\tif os.Getenv(\"SKIP\") != \"\" {\n\t\tt.Skip(\"needs more\")\n\t}\n}\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReport(t *testing.T) {
	dir := module(t)
	for name, tc := range map[string]struct {
		env  string
		flag string // where FLAG is
		ok   bool
		says []string
	}{
		"all is well":              {"", "go.mod", true, []string{"ok    m/a ", "3 passed, 0 failed, 0 skipped"}},
		"a test fails":             {"BAD=1", "go.mod", false, []string{"FAIL  m/b TestB", "bad", "2 passed, 1 failed, 0 skipped"}},
		"a test is skipped":        {"SKIP=1", "go.mod", true, []string{"Not run here: needs more (1)", "2 passed, 0 failed, 1 skipped"}},
		"a test is skipped in CI":  {"SKIP=1 CI=true", "go.mod", false, []string{"2 passed, 0 failed, 1 skipped"}},
		"the detector crashes":     {"", "flag", true, []string{"again m/a: the race detector has crashed\n", "ok    m/a ", "3 passed, 0 failed, 0 skipped"}},
		"it crashes twice":         {"", "go.mod/flag", false, []string{"2 passed, 1 failed, 0 skipped"}},
		"it crashes, a test fails": {"BAD=1", "flag2", false, []string{"FAIL  m/b TestB", "2 passed, 1 failed, 0 skipped"}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-count=1", "./...")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "REPORT_TEST_MAIN=1", "CI=", "BAD=", "SKIP=", "FLAG="+filepath.Join(dir, tc.flag))
			cmd.Env = append(cmd.Env, strings.Fields(tc.env)...)
			out, err := cmd.CombinedOutput()
			if (err == nil) != tc.ok {
				t.Errorf("report ends with %v, want success: %v", err, tc.ok)
			}
			for _, want := range tc.says {
				if !strings.Contains(string(out), want) {
					t.Errorf("report lacks %q:\n%s", want, out)
				}
			}
		})
	}
	t.Run("it does not build", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(dir, "b", "c_test.go"), fmt.Append(nil, "package b; x"), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0], "-count=1", "./...")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "REPORT_TEST_MAIN=1", "CI=", "FLAG="+filepath.Join(dir, "go.mod"))
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "c_test.go") || !strings.Contains(string(out), "1 failed") {
			t.Errorf("report = %v:\n%s", err, out)
		}
	})
}
