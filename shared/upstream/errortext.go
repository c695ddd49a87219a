package upstream

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/devmentor/ai-gateway/shared/pattern"
)

// OpenAIError reads {"error":{"message","param","code"}} and its common
// relatives: an error that is only a string, code as a number, type or status
// (Anthropic, Gemini) instead of code, message at the top (Bedrock).
func OpenAIError(body []byte) (message, param, code string) {
	var w struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
	}
	if json.Unmarshal(body, &w) != nil {
		var list []json.RawMessage // Gemini wraps some errors of streams in an array
		if json.Unmarshal(body, &list) == nil && len(list) > 0 && list[0][0] == '{' {
			return OpenAIError(list[0])
		}
		return "", "", ""
	}
	var e struct {
		Message string `json:"message"`
		Param   any    `json:"param"`
		Code    any    `json:"code"`
		Type    string `json:"type"`
		Status  string `json:"status"`
	}
	if len(w.Error) > 0 && json.Unmarshal(w.Error, &e) != nil {
		json.Unmarshal(w.Error, &e.Message)
	}
	message = e.Message
	if message == "" {
		message = w.Message
	}
	param, _ = e.Param.(string)
	code, ok := e.Code.(string)
	if !ok && e.Status != "" {
		code = strings.ToLower(e.Status)
	} else if !ok {
		code = e.Type
	}
	return message, param, code
}

// RetryAfter reads retry-after-ms and retry-after (seconds or a date). It
// returns 0 if there is none or it makes no sense.
func RetryAfter(h http.Header) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("retry-after-ms"), 64); err == nil && ms > 0 && ms < 1e9 {
		return time.Duration(ms * float64(time.Millisecond))
	}
	v := h.Get("retry-after")
	if s, err := strconv.ParseFloat(v, 64); err == nil && s > 0 && s < 1e6 {
		return time.Duration(s * float64(time.Second))
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

var secrets = pattern.Pattern{Expr: `https?://[^\s"'<>)\]]+` + // addresses, which may hold keys
	`|(?i)bearer\s+[\w\-.~+/=]+` +
	`|\b(?:sk|pk|rk|gsk|xai|key)-[\w\-*.]{6,}` + // OpenAI, Anthropic and many others
	`|\bAIza[\w\-]{10,}` + // Google
	`|\b(?:AKIA|ASIA)[A-Z0-9]{12,}` + // AWS
	`|\bgw_[\w.@-]+_[0-9A-Za-z]{32}\b` + // ours
	`|\beyJ[\w\-]{8,}\.[\w\-]{8,}\.[\w\-]*` + // JWT
	`|(?i)\b(?:api[_-]?key|token|secret)["']?\s*[:=]\s*["']?[\w\-.~+/]{8,}`}

// Scrub removes addresses and whatever looks like a credential: providers like
// to repeat both in their errors.
func Scrub(text string) string { return secrets.Regexp().ReplaceAllString(text, "[removed]") }
