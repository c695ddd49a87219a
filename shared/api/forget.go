package api

import (
	"context"
	"errors"

	"github.com/devmentor/ai-gateway/shared/conversation"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/recipe"
)

// forget deletes everything that a user has stored: another of the same name
// must not find it. What cannot be deleted does not keep it from the rest.
func (s *Server) forget(ctx context.Context, user string) error {
	var errs []error
	if s.Library != nil {
		errs = append(errs, empty(
			func() ([]rag.Document, error) {
				page, _, err := s.Library.Documents(ctx, user, rag.Key{}, "", pageSize)
				return page, err
			},
			func(d rag.Document) error { return s.Library.Delete(ctx, user, d.Key) }))
	}
	if s.Recipes != nil {
		for _, kind := range []recipe.Kind{recipe.Template, recipe.Chain} {
			errs = append(errs, empty(
				func() ([]recipe.Head, error) { return s.Recipes.List(ctx, user, kind, "", pageSize) },
				func(h recipe.Head) error { return s.Recipes.Delete(ctx, user, kind, h.Name) }))
		}
	}
	if s.Runs != nil {
		errs = append(errs, s.Runs.Forget(ctx, user))
	}
	if s.Conversations != nil {
		errs = append(errs, empty(
			func() ([]conversation.Conversation, error) { return s.Conversations.List(ctx, user, "", pageSize) },
			func(c conversation.Conversation) error { return s.Conversations.Delete(ctx, user, c.ID) }))
	}
	return errors.Join(errs...)
}

// empty removes what list returns until that is nothing.
func empty[T any](list func() ([]T, error), remove func(T) error) error {
	for {
		page, err := list()
		if err != nil || len(page) == 0 {
			return err
		}
		for _, v := range page {
			if err := remove(v); err != nil && !errors.Is(err, fault.NotFound) {
				return err
			}
		}
	}
}
