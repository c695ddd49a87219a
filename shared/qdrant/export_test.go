package qdrant

import (
	"context"
	"net"
	"time"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"

	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/requestid"
)

// Dial lets s reach Qdrant by dial.
func Dial(s *Store, dial func(context.Context, string) (net.Conn, error)) {
	s.dialing = []grpc.DialOption{grpc.WithContextDialer(dial)}
}

// Collections calls each with every collection on the server.
func Collections(ctx context.Context, s *Store, each func(c *qdrant.Client, name string) error) error {
	c, _, err := s.dial()
	if err != nil {
		return err
	}
	defer s.handBack(c, true, false)
	names, err := c.ListCollections(ctx)
	for _, name := range names {
		if err := each(c.Client, name); err != nil {
			return err
		}
	}
	return err
}

// Impatient makes s take what is being written for what a crash has left.
func Impatient(s *Store) { s.abandoned = -2 * time.Second } // "since" is in whole seconds

// Address is where s dials.
func Address(s *Store) (host string, port int, tls bool) { return s.host, s.port, s.tls }

// Sleep lets s believe that its process was frozen for d.
func Sleep(s *Store, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = s.used.Add(-d)
}

// Client is the connection that s has.
func Client(s *Store) *qdrant.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn.Client
}

// Make makes a collection.
func Make(ctx context.Context, s *Store, ask *qdrant.CreateCollection) error {
	c, _, err := s.dial()
	if err != nil {
		return err
	}
	defer s.handBack(c, true, false)
	return c.CreateCollection(ctx, ask)
}

// PutBare stores a document without passages, as older gateways did.
func PutBare(ctx context.Context, s *Store, tenant string, d rag.Document) error {
	h := &head{tenant: tenant, Document: d, rev: requestid.New(time.Now()), gen: newGeneration(0)}
	return s.swap(ctx, headID(tenant, d.Key), "", h.payload())
}
