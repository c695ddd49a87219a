// Package dynamo keeps accounts and the ledger in DynamoDB, so that any number
// of instances admit requests exactly, with one write each.
package dynamo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
)

const (
	// patience bounds one call with all its retries, and attempt one try of it.
	patience = 4 * time.Second
	attempt  = 2 * time.Second // a small function needs most of a second for its first TLS handshake

	maxAttempts = 6
	firstPause  = 10 * time.Millisecond // doubled with every retry, and halved by chance
)

// Store is an admission.Store, Users, Keys, Ledger, Projects and WriteOffs on
// two tables. See CreateTables for what they must look like.
type Store struct {
	client        *dynamodb.Client
	state, ledger string
	seen          glimpses
	funds         fundGlimpses

	patience, attempt time.Duration
}

var (
	_ admission.Store     = (*Store)(nil)
	_ admission.Users     = (*Store)(nil)
	_ admission.Keys      = (*Store)(nil)
	_ admission.Ledger    = (*Store)(nil)
	_ admission.Projects  = (*Store)(nil)
	_ admission.WriteOffs = (*Store)(nil)
)

// New returns a store on the named tables. It does no I/O. Retries are the
// store's own: those that the client is configured for are not used, because
// they hide whether a write may have happened.
func New(client *dynamodb.Client, state, ledger string) *Store {
	return &Store{client: client, state: state, ledger: ledger, patience: patience, attempt: attempt}
}

// tune sets what the store needs of every call.
func tune(o *dynamodb.Options) {
	o.Retryer = aws.NopRetryer{}
	o.RetryMaxAttempts = 0
	o.DisableValidateResponseChecksum = true // else the SDK warns at every answer that has none
	o.EndpointDiscovery.EnableEndpointDiscovery = aws.EndpointDiscoveryDisabled
}

// trips counts what a call took.
type trips struct {
	n int
	// unknown says that an attempt got no answer: it may have written.
	unknown bool
}

// call runs op until it is answered: throttling, conflicts, server errors and
// silence are retried within the store's patience and ctx. op must be
// idempotent, by its condition.
func (s *Store) call(ctx context.Context, t *trips, op func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	pause := firstPause
	for i := 1; ; i++ {
		if err := ctx.Err(); err != nil {
			return err // nothing was sent
		}
		err := s.once(ctx, op)
		t.n++
		if err == nil {
			return nil
		}
		retry, unknown := classify(err)
		t.unknown = t.unknown || unknown
		if !retry || i == maxAttempts {
			return err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
		pause *= 2
	}
}

func (s *Store) once(ctx context.Context, op func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.attempt)
	defer cancel()
	return op(ctx)
}

// classify says whether err is worth another attempt, and whether the failed
// one may have had its effect all the same.
func classify(err error) (retry, unknown bool) {
	var api smithy.APIError
	if !errors.As(err, &api) {
		var op *net.OpError
		dialled := errors.As(err, &op) && op.Op == "dial"
		return true, !dialled
	}
	switch api.ErrorCode() {
	case "ProvisionedThroughputExceededException", "ThrottlingException", "Throttling", "RequestLimitExceeded",
		"LimitExceededException", "TransactionConflictException", "TransactionInProgressException", "ReplicatedWriteConflictException":
		return true, false
	}
	if crossed(err) {
		return true, false
	}
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) && resp.HTTPStatusCode() < 500 && resp.HTTPStatusCode() >= 400 {
		return resp.HTTPStatusCode() == 429, false
	}
	return true, true
}

// fail turns what call returned into what a caller can act on. The caller's
// own context decides what a broken-off call means.
func fail(ctx context.Context, op string, err error) error {
	err = fmt.Errorf("dynamo: %s: %w", op, err)
	var api smithy.APIError
	why, _ := reasons(err)
	ours := errors.Is(err, errItem) || errors.As(err, &api) && api.ErrorCode() == "ValidationException" || slices.ContainsFunc(why, isCode(malformed))
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fault.Wrap(fault.Canceled, err, "The client closed the request.")
	case ours:
		return fault.Wrap(fault.Internal, err, "Internal error.")
	}
	return &fault.Error{Kind: fault.Unavailable, Message: "The account store does not answer. Try again.", RetryAfter: time.Second, Err: err}
}

// refused returns the item that a condition failed on; ok is false for every
// other error. The item is nil if there is none.
func refused(err error) (item map[string]types.AttributeValue, ok bool) {
	var e *types.ConditionalCheckFailedException
	if !errors.As(err, &e) {
		return nil, false
	}
	return e.Item, true
}

func (s *Store) update(ctx context.Context, t *trips, in *dynamodb.UpdateItemInput) (out *dynamodb.UpdateItemOutput, err error) {
	err = s.call(ctx, t, func(ctx context.Context) error {
		out, err = s.client.UpdateItem(ctx, in, tune)
		return err
	})
	return out, err
}

func (s *Store) put(ctx context.Context, t *trips, in *dynamodb.PutItemInput) error {
	return s.call(ctx, t, func(ctx context.Context) error {
		_, err := s.client.PutItem(ctx, in, tune)
		return err
	})
}

func (s *Store) delete(ctx context.Context, t *trips, in *dynamodb.DeleteItemInput) error {
	return s.call(ctx, t, func(ctx context.Context) error {
		_, err := s.client.DeleteItem(ctx, in, tune)
		return err
	})
}

// get reads an item as it is now; nil if there is none.
func (s *Store) get(ctx context.Context, table string, key map[string]types.AttributeValue) (map[string]types.AttributeValue, error) {
	var out *dynamodb.GetItemOutput
	err := s.call(ctx, new(trips), func(ctx context.Context) (err error) {
		out, err = s.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: key, ConsistentRead: aws.Bool(true)}, tune)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

func (s *Store) query(ctx context.Context, in *dynamodb.QueryInput) (out *dynamodb.QueryOutput, err error) {
	err = s.call(ctx, new(trips), func(ctx context.Context) error {
		out, err = s.client.Query(ctx, in, tune)
		return err
	})
	return out, err
}
