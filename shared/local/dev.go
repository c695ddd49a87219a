package local

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// devUser is the user that every data directory begins with. It has no limits.
const devUser = "dev"

// Dev is dev.json: keys that work at once on this machine.
type Dev struct {
	User     string `json:"user"`
	Key      string `json:"key"`
	AdminKey string `json:"admin_key"`
}

// openDev reads dev.json and makes what is missing or no longer works: the
// user, its key, an admin key.
func (g *Gateway) openDev(ctx context.Context, pepper func(context.Context) (string, error)) error {
	path := filepath.Join(g.Config.DataDir, "dev.json")
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if err == nil {
		if err := json.Unmarshal(text, &g.Dev); err != nil {
			return fmt.Errorf("%s: %w (delete the file to get new keys)", path, err)
		}
	}
	before := g.Dev
	g.Dev.User = devUser
	secret, err := pepper(ctx)
	if err != nil {
		return err
	}
	if err := g.devKey(ctx, []byte(secret)); err != nil {
		return err
	}
	if g.Config.AdminKey == "" {
		if g.Dev.AdminKey == "" {
			g.Dev.AdminKey = "gwadmin_" + rand.Text()
		}
		admin := g.Dev.AdminKey
		g.Server.AdminKey = func(context.Context) (string, error) { return admin, nil }
	} else {
		g.Dev.AdminKey = "" // theirs is not written down again
	}
	if g.Dev == before {
		return nil
	}
	out, err := json.MarshalIndent(g.Dev, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(out, '\n'), 0o600)
}

// devKey makes sure that the dev user exists and that its key works.
func (g *Gateway) devKey(ctx context.Context, pepper []byte) error {
	now := time.Now().UTC()
	_, err := g.store.CreateUser(ctx, admission.User{ID: devUser, Name: "Developer on this machine", Active: true, Models: []string{"*"},
		Burst: admission.DefaultBurst, Parallel: admission.MaxParallel, Tokens: admission.NoTokenLimit, Day: usage.None, Month: usage.None, Created: now})
	if err != nil && !errors.Is(err, fault.Conflict) {
		return err
	}
	keys, err := g.store.ListKeys(ctx, devUser)
	if err != nil {
		return err
	}
	if _, hash, err := admission.ParseKey(pepper, g.Dev.Key); err == nil {
		for _, k := range keys {
			if k.Hash == hash && !k.Revoked && (k.Expires.IsZero() || k.Expires.After(now)) {
				return nil
			}
		}
	}
	for _, k := range keys { // of an earlier dev.json: nobody knows them any more
		if k.Name == "dev.json" && !k.Revoked {
			if err := g.store.RevokeKey(ctx, devUser, k.ID); err != nil {
				return err
			}
		}
	}
	key, hash := admission.NewKey(pepper, devUser)
	g.Dev.Key = key
	return g.store.PutKey(ctx, devUser, admission.Key{ID: admission.KeyID(hash), Hash: hash, Name: "dev.json", Hint: key[len(key)-4:],
		Models: []string{"*"}, Scopes: []string{"inference"}, Created: now})
}
