package main

import (
	"bytes"
	"os"
	"testing"
)

func TestTheVocabulariesAreAsTheGeneratorWritesThem(t *testing.T) {
	dir := t.TempDir()
	if err := run(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"o200k.vocab", "cl100k.vocab"} {
		got, err := os.ReadFile("../" + name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator makes of the library's vocabulary: run go generate", name)
		}
	}
}
