package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/dynamo"
	"github.com/devmentor/ai-gateway/shared/dynamolocal"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// backend is what functions need around them on a machine without AWS: tables
// in DynamoDB Local, a user with a key, an admin key.
type backend struct {
	env      []string
	key      string
	adminKey string
}

// dev starts a backend, unless the environment names tables: then those are
// used, and the events must carry keys that work there.
func dev(ctx context.Context) (*backend, error) {
	if os.Getenv("STATE_TABLE") != "" {
		return &backend{env: os.Environ()}, nil
	}
	endpoint := os.Getenv("AWS_ENDPOINT_URL_DYNAMODB")
	if endpoint == "" {
		var err error
		if endpoint, err = dynamolocal.Start(); err != nil {
			return nil, fmt.Errorf("the functions keep their accounts in DynamoDB: set STATE_TABLE and LEDGER_TABLE to real tables, or let this start DynamoDB Local: %w", err)
		}
	}
	client := dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: &endpoint, HTTPClient: http.DefaultClient,
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""), DisableValidateResponseChecksum: true})
	id := rand.Text()[:8]
	state, ledger := "dev-state-"+id, "dev-ledger-"+id
	if err := dynamo.CreateTables(ctx, client, state, ledger); err != nil {
		return nil, err
	}
	b := &backend{adminKey: "gwadmin_" + rand.Text()}
	pepper := rand.Text()
	if err := b.user(ctx, dynamo.New(client, state, ledger), pepper); err != nil {
		return nil, err
	}
	b.env = append(os.Environ(), "AWS_ENDPOINT_URL_DYNAMODB="+endpoint, "STATE_TABLE="+state, "LEDGER_TABLE="+ledger,
		"GATEWAY_KEY_PEPPER="+pepper, "GATEWAY_ADMIN_KEY="+b.adminKey)
	for name, value := range map[string]string{"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"} {
		if os.Getenv(name) == "" {
			b.env = append(b.env, name+"="+value)
		}
	}
	return b, nil
}

func (b *backend) user(ctx context.Context, store *dynamo.Store, pepper string) error {
	now := time.Now().UTC()
	u := admission.User{ID: "dev", Active: true, Models: []string{"*"}, Burst: admission.DefaultBurst, Parallel: admission.DefaultParallel,
		Tokens: admission.NoTokenLimit, Day: usage.None, Month: usage.None, Created: now}
	if _, err := store.CreateUser(ctx, u); err != nil {
		return err
	}
	key, hash := admission.NewKey([]byte(pepper), u.ID)
	b.key = key
	return store.PutKey(ctx, u.ID, admission.Key{ID: admission.KeyID(hash), Hash: hash, Name: "invoke", Hint: key[len(key)-4:],
		Models: []string{"*"}, Scopes: []string{"inference"}, Created: now})
}

// fill puts the backend's keys where the events of events/ leave room for them.
func (b *backend) fill(event []byte) []byte {
	if b.key == "" {
		return event
	}
	event = bytes.ReplaceAll(event, []byte("gw_dev_REPLACE"), []byte(b.key))
	return bytes.ReplaceAll(event, []byte("ADMIN_KEY_REPLACE"), []byte(b.adminKey))
}
