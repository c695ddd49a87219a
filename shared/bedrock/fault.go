package bedrock

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/pattern"
)

// statuses says what an exception's name stands for. In a stream it is all
// there is; in an HTTP error it is preferred to the status, which Bedrock
// chooses oddly: quotas are 400, a model that failed is 424. Both are retried
// elsewhere only under the status that the rest of the world uses.
var statuses = map[string]int{
	"ThrottlingException":           http.StatusTooManyRequests,
	"TooManyRequestsException":      http.StatusTooManyRequests,
	"ServiceQuotaExceededException": http.StatusTooManyRequests,
	"ServiceUnavailableException":   http.StatusServiceUnavailable,
	"ModelNotReadyException":        http.StatusServiceUnavailable,
	"ModelTimeoutException":         http.StatusGatewayTimeout,
	"ModelErrorException":           http.StatusBadGateway,
	"ModelStreamErrorException":     http.StatusBadGateway,
	"InternalServerException":       http.StatusInternalServerError,
	"InternalFailure":               http.StatusInternalServerError,
	"ValidationException":           http.StatusBadRequest,
	"ResourceNotFoundException":     http.StatusNotFound,
	// Our credentials, whatever the status that carries them.
	"AccessDeniedException":          http.StatusForbidden,
	"UnrecognizedClientException":    http.StatusForbidden,
	"InvalidSignatureException":      http.StatusForbidden,
	"IncompleteSignature":            http.StatusForbidden,
	"InvalidClientTokenId":           http.StatusForbidden,
	"MissingAuthenticationToken":     http.StatusForbidden,
	"SignatureDoesNotMatch":          http.StatusForbidden,
	"ExpiredToken":                   http.StatusForbidden,
	"ExpiredTokenException":          http.StatusForbidden,
	"MissingAuthenticationException": http.StatusForbidden,
	"NotAuthorized":                  http.StatusForbidden,
	"OptInRequired":                  http.StatusForbidden,
}

// tooLong recognises the ways in which Bedrock's models say that a prompt
// exceeds their context window.
var tooLong = pattern.Pattern{Expr: `(?i)too long|context (limit|length|window)|too many (input )?tokens|maximum (input|context|number of tokens)`}

// fault translates an error of the SDK.
func (p *Provider) fault(ctx context.Context, err error) error {
	c := p.common()
	if ctx.Err() != nil {
		return c.NetError(ctx, err)
	}
	api, answered := errors.AsType[smithy.APIError](err)
	response, hasStatus := errors.AsType[*awshttp.ResponseError](err)
	var header http.Header
	status := http.StatusBadGateway
	switch {
	case isSend(err): // also a ResponseError, without a response
		return c.NetError(ctx, err)
	case hasStatus && !answered && response.HTTPStatusCode()/100 == 2:
		return c.Broken("sent an answer that cannot be read", err)
	case hasStatus:
		status, header = response.HTTPStatusCode(), response.Response.Header
	case answered: // an exception in a stream
	case isOurs(err):
		// Before anything was sent: no credentials, no region, or no endpoint.
		return &fault.Error{Kind: fault.Upstream, Code: "upstream_credentials", Provider: p.Name, Err: err,
			Message: "The gateway has no working credentials, region or endpoint for the provider '" + p.Name + "'."}
	default:
		return c.NetError(ctx, err)
	}
	var body []byte
	if answered {
		if s, ok := statuses[api.ErrorCode()]; ok {
			status = s
		}
		if text := api.ErrorMessage(); text != "UnknownError" { // the SDK's word for "no message"
			body, _ = json.Marshal(map[string]string{"type": api.ErrorCode(), "message": text})
		}
	}
	// Failure keeps the text for the log, without credentials: a refused
	// signature is explained with the session token in it.
	f := c.Failure(status, header, body)
	if f.Kind == fault.Invalid && tooLong.Match(f.Message) {
		f.Code = "context_length_exceeded"
	}
	return f
}

func isSend(err error) bool {
	_, ok := errors.AsType[*smithyhttp.RequestSendError](err)
	return ok
}

// isOurs reports whether err comes from an operation, not from reading a
// stream, and from before its request was sent.
func isOurs(err error) bool {
	_, operation := errors.AsType[*smithy.OperationError](err)
	_, decoding := errors.AsType[*smithy.DeserializationError](err)
	return operation && !decoding
}
