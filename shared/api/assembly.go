package api

import (
	"bytes"
	"strconv"

	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// appendAssembly writes what the client may know of a prompt that the gateway
// has put together: the passages that the answer may cite, and what became of
// every part.
func appendAssembly(dst []byte, a *gateway.Assembly) []byte {
	dst = append(dst, '{')
	if a.Passages != nil {
		dst = append(dst, `"citations":[`...)
		for i, h := range a.Passages {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `{"n":`...)
			dst = strconv.AppendInt(dst, int64(i+1), 10)
			dst = rawjson.AppendString(append(dst, `,"id":`...), h.ID)
			dst = rawjson.AppendString(append(dst, `,"collection":`...), h.Collection)
			dst = append(dst, `,"passage":`...)
			dst = strconv.AppendInt(dst, int64(h.Passage), 10)
			dst = append(dst, `,"score":`...)
			dst = strconv.AppendFloat(dst, h.Score, 'g', -1, 64)
			dst = rawjson.AppendString(append(dst, `,"heading":`...), h.Heading)
			dst = rawjson.AppendString(append(dst, `,"text":`...), h.Text)
			dst = append(append(dst, `,"metadata":`...), metadata(h.Metadata)...)
			dst = append(dst, '}')
		}
		dst = append(dst, `],`...)
	}
	dst = append(dst, `"context":`...)
	return append(append(dst, a.Account.JSON()...), '}')
}

// addMember adds a member to a JSON object.
func addMember(dst, object []byte, name string, value []byte) []byte {
	end := bytes.LastIndexByte(object, '}')
	dst = append(dst, object[:end]...)
	dst = rawjson.AppendString(append(dst, ','), name)
	dst = append(append(dst, ':'), value...)
	return append(dst, object[end:]...)
}
