package bolt

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/storetest"
)

func TestRecipesConform(t *testing.T) {
	storetest.RunRecipes(t, func(t *testing.T) recipe.Store { return openTest(t, t.TempDir()).Recipes() })
}

// addRecipe stores a version at a fixed time.
func addRecipe(t *testing.T, s *Store, name, body string, labels ...string) {
	t.Helper()
	v := recipe.Version{Name: name, Body: json.RawMessage(body), Created: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), Author: "key-1"}
	if _, _, _, err := s.Recipes().Add(t.Context(), "ann", recipe.Template, v, labels); err != nil {
		t.Fatalf("Add = %v", err)
	}
}

func TestRecipesAreOnDiskWhenStored(t *testing.T) {
	dir := t.TempDir()
	s := openQuiet(t, dir, createFile)
	addRecipe(t, s, "tutor", `{ "v": 1 }`)
	addRecipe(t, s, "tutor", `{ "v": 2 }`, "production")
	head, err := s.Recipes().Head(t.Context(), "ann", recipe.Template, "tutor")
	if err != nil {
		t.Fatal(err)
	}
	s.kill()
	s = openTest(t, dir)
	after, err := s.Recipes().Head(t.Context(), "ann", recipe.Template, "tutor")
	if diff := cmp.Diff(head, after); err != nil || diff != "" {
		t.Errorf("Head after a kill = %v (-before +after):\n%s", err, diff)
	}
	v, err := s.Recipes().Version(t.Context(), "ann", recipe.Template, "tutor", recipe.Ref{Label: "production"})
	if err != nil || v.Number != 2 || string(v.Body) != `{ "v": 2 }` {
		t.Errorf("Version after a kill = %+v, %v", v, err)
	}
}

// A directory from before there were recipes and conversations can be read,
// dumped and written.
func TestOldDirectories(t *testing.T) {
	dir := t.TempDir()
	s := openQuiet(t, dir, createFile)
	err := s.db.View(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{recipesBucket, versionsBucket, conversationsBucket, turnsBucket, endsBucket} {
			if tx.Bucket(name) != nil {
				t.Errorf("bucket %s is there before anything is in it", name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.kill()
	var out bytes.Buffer
	if err := Dump(&out, dir); err != nil {
		t.Errorf("Dump = %v", err)
	}
	s = openTest(t, dir)
	if heads, err := s.Recipes().List(t.Context(), "ann", recipe.Template, "", 10); err != nil || len(heads) > 0 {
		t.Errorf("List = %v, %v, want nothing", heads, err)
	}
	if all, err := s.Conversations().List(t.Context(), "ann", "", 10); err != nil || len(all) > 0 {
		t.Errorf("List = %v, %v, want nothing", all, err)
	}
	addRecipe(t, s, "tutor", `1`)
	newConversation(t, s.Conversations(), "conv_00000001", time.Hour)
}

func TestDumpOfRecipesAndConversations(t *testing.T) {
	dir := t.TempDir()
	s := openQuiet(t, dir, createFile)
	addRecipe(t, s, "tutor", `{"v":1}`)
	addRecipe(t, s, "tutor", `{"v":2}`, "staging", "production")
	addRecipe(t, s, "old", `{"v":3}`)
	if err := s.Recipes().Delete(t.Context(), "ann", recipe.Template, "old"); err != nil {
		t.Fatal(err)
	}
	c := newConversation(t, s.Conversations(), "conv_00000001", time.Hour)
	appendTurn(t, s.Conversations(), c.ID, "0000000000000001")
	s.kill()
	var out bytes.Buffer
	if err := Dump(&out, dir); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nRECIPES\n", "template tutor of ann: latest 2, production 2, staging 2\n", "template old of ann: latest 1, deleted\n",
		"  version 1, 2026-11-22T12:00:00Z by key-1: {\"v\":1}\n", "  version 2, 2026-11-22T12:00:00Z by key-1: {\"v\":2}\n",
		"\nCONVERSATIONS\n", `conv_00000001 of ann: "Maps", expires `, `, metadata {"a":1}`, "  0000000000000001, ", `: [{"role":"user","content":"hi"}]`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("Dump lacks %q", want)
		}
	}
	if strings.Contains(out.String(), `{"v":3}`) || t.Failed() {
		t.Errorf("Dump = %s", out.String())
	}
}
