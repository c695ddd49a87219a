package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/devmentor/ai-gateway/shared/conversation"
	"github.com/devmentor/ai-gateway/shared/fault"
)

var conversationRaces = []conversationCase{
	{"turns appended at once are all kept", func(p *talker) {
		c := p.create("conv_race0001", time.Hour)
		for _, err := range parallel(p.Context(), racers, func(ctx context.Context, i int) error {
			return p.Append(ctx, p.tenant, c.ID, turn(i, fmt.Sprint("text ", i)))
		}) {
			if err != nil {
				p.Errorf("Append = %v", err)
			}
		}
		var want []conversation.Turn
		for i := racers - 1; i >= 0; i-- {
			want = append(want, turn(i, fmt.Sprint("text ", i)))
		}
		p.wantTurns(c.ID, "", 2*racers, want...)
		c.Updated = at(racers - 1)
		c.Expires = c.Updated.Add(time.Hour)
		p.wantConversation(c)
	}},
	{"one append sent many times is one turn", func(p *talker) {
		c := p.create("conv_race0002", time.Hour)
		for _, err := range parallel(p.Context(), 16, func(ctx context.Context, _ int) error {
			return p.Append(ctx, p.tenant, c.ID, turn(1, "a", "b"))
		}) {
			if err != nil {
				p.Errorf("Append = %v", err)
			}
		}
		p.wantTurns(c.ID, "", 10, turn(1, "a", "b"))
	}},
	{"an id is created once", func(p *talker) {
		created := 0
		for _, err := range parallel(p.Context(), 16, func(ctx context.Context, i int) error {
			_, err := p.Create(ctx, p.tenant, conversation.Conversation{ID: "conv_race0003", Title: fmt.Sprint(i), TTL: time.Hour, Created: at(i)})
			return err
		}) {
			if err == nil {
				created++
			} else {
				wantKind(p.T, "Create", err, fault.Conflict)
			}
		}
		if created != 1 {
			p.Errorf("%d of 16 created it, want 1", created)
		}
	}},
	{"appending to what is being deleted leaves nothing to its successor", func(p *talker) {
		for round := range 3 {
			id := fmt.Sprintf("conv_race004%d", round)
			p.create(id, time.Hour)
			for i := range 10 {
				p.append(id, turn(i, "before"))
			}
			for _, err := range parallel(p.Context(), 16, func(ctx context.Context, i int) error {
				if i == 8 {
					return p.Delete(ctx, p.tenant, id)
				}
				if err := p.Append(ctx, p.tenant, id, turn(20+i, "meanwhile")); !errors.Is(err, fault.NotFound) {
					return err
				}
				return nil
			}) {
				if err != nil {
					p.Errorf("Append, Delete = %v", err)
				}
			}
			p.missing(id)
			p.create(id, time.Hour)
			p.wantTurns(id, "", 100)
			p.append(id, turn(25, "after"))
			p.wantTurns(id, "", 100, turn(25, "after"))
		}
	}},
}
