package qdrant

import (
	"context"

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
