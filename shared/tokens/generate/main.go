// Command generate writes the vocabularies that package tokens embeds, from
// those of github.com/tiktoken-go/tokenizer (MIT licence), which are OpenAI's
// (tiktoken, MIT licence). Run it as `go generate ./shared/tokens`.
package main

import (
	"bytes"
	"compress/flate"
	"fmt"
	"os"

	"github.com/tiktoken-go/tokenizer/codec"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	for _, v := range []struct {
		name   string
		codec  *codec.Codec
		tokens uint
	}{
		{"cl100k", codec.NewCl100kBase(), 100_256},
		{"o200k", codec.NewO200kBase(), 199_998},
	} {
		packed, err := pack(v.codec, v.tokens)
		if err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
		if err := os.WriteFile(dir+"/"+v.name+".vocab", packed, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pack writes the first n tokens in the order of their ranks: how many there
// are in three bytes, then, compressed, the length of each in a byte, and the
// tokens themselves. Lengths and texts apart compress better than in turn.
func pack(c *codec.Codec, n uint) ([]byte, error) {
	var lengths, texts []byte
	for id := range n {
		token, err := c.Decode([]uint{id})
		if err != nil {
			return nil, err
		}
		if len(token) > 255 {
			return nil, fmt.Errorf("token %d has %d bytes", id, len(token))
		}
		lengths = append(lengths, byte(len(token)))
		texts = append(texts, token...)
	}
	var out bytes.Buffer
	out.Write([]byte{byte(n >> 16), byte(n >> 8), byte(n)})
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	w.Write(append(lengths, texts...)) //nolint:errcheck // a Buffer takes everything
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
