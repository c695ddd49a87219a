package qdrant

import (
	"context"
	"time"

	"github.com/qdrant/go-client/qdrant"
)

// Collections calls each with every collection on the server.
func Collections(ctx context.Context, s *Store, each func(c *qdrant.Client, name string) error) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	names, err := c.ListCollections(ctx)
	for _, name := range names {
		if err := each(c, name); err != nil {
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
	return s.client
}

// Make makes a collection.
func Make(ctx context.Context, s *Store, ask *qdrant.CreateCollection) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	return c.CreateCollection(ctx, ask)
}
