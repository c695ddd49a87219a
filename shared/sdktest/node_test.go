package sdktest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	nodeVersion    = 20 // the least
	installTimeout = 3 * time.Minute
	suiteTimeout   = 2 * time.Minute
)

// testNode runs the suites of js/: OpenAI's SDK, LangChain and Vercel's.
// Without Node it is skipped, but under CI=true it fails.
func testNode(t *testing.T, s *site) {
	dir, err := nodeScripts()
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	}
	env := append(os.Environ(), "GATEWAY_NAME="+s.name, "GATEWAY_BASE="+s.root+"/ai", "GATEWAY_KEY="+s.key, "UPSTREAM="+s.up.URL,
		"GATEWAY_KEY_FEW="+s.user(t, "only-gemini-node", object{"models": []string{"gemini/*"}}),
		"GATEWAY_KEY_POOR="+s.user(t, "poor-node", object{"budgets": []any{object{"period": "month", "usd": 0.000001}}}),
		"BOOK="+book, "PIXEL="+pixel, "CANARY="+canary, "MODELS="+string(modelsJSON()), "LANGSMITH_TRACING=false")
	for _, suite := range []string{"openai", "langchain", "vercel"} {
		t.Run(suite, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), suiteTimeout)
			defer cancel()
			cmd := exec.CommandContext(ctx, "node", "run.mjs", suite)
			cmd.Dir, cmd.Env = dir, env
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Errorf("%v\n%s", err, &stderr)
			}
			tests := 0
			for line := range bytes.Lines(out) {
				var result struct {
					Name  string
					Error *string
				}
				if err := json.Unmarshal(line, &result); err != nil {
					t.Log(string(line)) // an SDK that talks
					continue
				}
				tests++
				t.Run(result.Name, func(t *testing.T) {
					if result.Error != nil {
						t.Error(*result.Error)
					}
				})
			}
			if tests < 5*len(models) {
				t.Errorf("only %d tests reported\n%s%s", tests, out, &stderr)
			}
		})
	}
}

func modelsJSON() []byte {
	var list []object
	for _, m := range models {
		list = append(list, object{"provider": m.provider, "name": m.name})
	}
	return toJSON(list)
}

// nodeScripts returns a folder from which js/ can be run.
var nodeScripts = sync.OnceValues(func() (string, error) {
	modules, err := nodeModules()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(programs, "js")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	scripts, err := filepath.Glob("js/*.mjs")
	if err != nil {
		return "", err
	}
	for _, name := range scripts {
		text, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), text, 0o644); err != nil {
			return "", err
		}
	}
	return dir, os.Symlink(modules, filepath.Join(dir, "node_modules"))
})

// nodeModules returns the installed packages of js/package-lock.json. They are
// kept in the user's cache, by the lock file's hash.
func nodeModules() (string, error) {
	out, err := exec.Command("node", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("the JavaScript SDKs need node %d: %w", nodeVersion, err)
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(string(out), "v"), ".")
	if v, err := strconv.Atoi(version); err != nil || v < nodeVersion {
		return "", fmt.Errorf("the JavaScript SDKs need node %d, this is %s", nodeVersion, bytes.TrimSpace(out))
	}
	lock, err := os.ReadFile(filepath.Join("js", "package-lock.json"))
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "ai-gateway", fmt.Sprintf("sdktest-%.6x", sha256.Sum256(lock)))
	modules := filepath.Join(dir, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "sdktest-install-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	manifest, err := os.ReadFile(filepath.Join("js", "package.json"))
	if err != nil {
		return "", err
	}
	if err := errors.Join(os.WriteFile(filepath.Join(tmp, "package.json"), manifest, 0o644), os.WriteFile(filepath.Join(tmp, "package-lock.json"), lock, 0o644)); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
	cmd.Dir = tmp
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the JavaScript SDKs are not installed, and npm ci failed: %w %.300s", err, bytes.TrimSpace(out))
	}
	if err := os.Rename(tmp, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err // another test process may have been faster
	}
	return modules, nil
}
