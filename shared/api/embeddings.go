package api

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"math"
	"net/http"
	"slices"
	"strconv"

	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Embeddings serves POST /ai/embeddings.
func (s *Server) Embeddings() http.Handler {
	return s.endpoint("POST", func(v *visit) error { return s.infer(v, "embeddings", s.embeddings) })
}

func (s *Server) embeddings(ctx context.Context, v *visit, c *gateway.Call, body []byte) error {
	req, out, err := s.Gateway.Embed(ctx, c, body)
	if err != nil {
		return err
	}
	writeFinalHeaders(v.Header(), c)
	answer := out.Raw
	if answer == nil {
		answer = appendEmbeddings(nil, req, out, c)
	}
	writeJSON(v, http.StatusOK, answer)
	return nil
}

// appendEmbeddings renders vectors that did not come in OpenAI's format, or not
// in one piece. An input that was refused has no vector but an error.
func appendEmbeddings(dst []byte, req *llm.EmbedRequest, out *llm.Embeddings, c *gateway.Call) []byte {
	size, number := 256, len("-0.023064255,")
	if req.Base64 {
		number = 6 // and not even that
	}
	for _, vec := range out.Vectors {
		size += number*len(vec) + len(`{"object":"embedding","index":1000,"embedding":""},`)
	}
	dst = slices.Grow(dst, size) // thousands of vectors would be copied again and again
	dst = append(dst, `{"object":"list","data":[`...)
	for i, vec := range out.Vectors {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"object":"embedding","index":`...)
		dst = strconv.AppendInt(dst, int64(i), 10)
		dst = append(dst, `,"embedding":`...)
		switch {
		case out.Failed != nil && out.Failed[i] != nil:
			dst = appendError(append(dst, `null,"error":`...), out.Failed[i])
		case req.Base64:
			dst = appendBase64(dst, vec)
		default:
			dst = appendFloats(dst, vec)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `],"model":`...)
	model := out.Model
	if model == "" {
		model = c.Record.Model
	}
	dst = rawjson.AppendString(dst, model)
	dst = append(dst, `,"usage":{"prompt_tokens":`...)
	dst = strconv.AppendInt(dst, c.Record.InputTokens, 10)
	dst = append(dst, `,"total_tokens":`...)
	dst = strconv.AppendInt(dst, c.Record.InputTokens, 10)
	return append(dst, `}}`...)
}

func appendFloats(dst []byte, vec []float32) []byte {
	dst = append(dst, '[')
	for i, f := range vec {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendFloat(dst, float64(f), 'g', -1, 32)
	}
	return append(dst, ']')
}

// appendBase64 writes the vector as OpenAI does: little-endian float32.
func appendBase64(dst []byte, vec []float32) []byte {
	var buf [768]byte // a multiple of three: nothing is padded but the end
	dst = append(dst, '"')
	for part := range slices.Chunk(vec, len(buf)/4) {
		raw := buf[:0]
		for _, f := range part {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
		}
		dst = base64.StdEncoding.AppendEncode(dst, raw)
	}
	return append(dst, '"')
}
