// Package qdrant keeps documents in Qdrant, and finds passages there by their
// terms and by their vectors.
//
// Qdrant has no transactions. Each document has a head, a point that names the
// generation of passages which counts; writing it is what makes a document
// appear, change or disappear, at once and as a whole. Passages of any other
// generation are invisible, and are deleted: at once if they were replaced,
// later if a crash left them. The head lists them all, because it is written
// before they are.
package qdrant

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/qdrant/go-client/qdrant"
	"github.com/sony/gobreaker/v2"
	"google.golang.org/grpc"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/pattern"
	"github.com/devmentor/ai-gateway/shared/rag"
)

// DefaultPort is Qdrant's for gRPC; REST has another.
const DefaultPort = 6334

// Options say where Qdrant is.
type Options struct {
	URL string // http://HOST[:PORT] or https://…, with the port of gRPC
	// Key returns the API key, "" if there is none. It is asked for each call.
	Key func(context.Context) (string, error)
	// Prefix begins the names of the collections in Qdrant.
	Prefix string
	Log    *slog.Logger
}

// Store implements rag.Library and rag.Searcher.
type Store struct {
	o    Options
	host string
	port int
	tls  bool

	abandoned time.Duration // see the constant
	breaker   *gobreaker.CircuitBreaker[struct{}]
	dialing   []grpc.DialOption // besides our own

	mu   sync.Mutex // protects what follows
	conn *conn
	used time.Time       // when conn was needed last, by the wall clock
	made map[string]bool // the collections in Qdrant that are known to be as they must
}

var (
	_ rag.Library  = (*Store)(nil)
	_ rag.Searcher = (*Store)(nil)
)

// New does no I/O: Qdrant is dialled when it is first needed. It fails if the
// URL is none.
func New(o Options) (*Store, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("qdrant: %q is no http or https URL", o.URL)
	}
	s := &Store{o: o, host: u.Hostname(), port: DefaultPort, tls: u.Scheme == "https", abandoned: abandoned, made: map[string]bool{}}
	s.breaker = s.newBreaker()
	if u.Port() != "" {
		if s.port, err = strconv.Atoi(u.Port()); err != nil {
			return nil, fmt.Errorf("qdrant: %q is no port", u.Port())
		}
	}
	return s, nil
}

// Ping says whether Qdrant answers and takes the key.
func (s *Store) Ping(ctx context.Context) error {
	_, err := call(ctx, s, reading, func(ctx context.Context, c *qdrant.Client) (bool, error) {
		return c.CollectionExists(ctx, s.documents())
	})
	return err
}

// Put implements rag.Library.
func (s *Store) Put(ctx context.Context, tenant string, d rag.Document) (rag.Document, bool, error) {
	if !utf8.ValidString(d.Text) || !utf8.ValidString(d.ID) || !utf8.Valid(d.Metadata) || !utf8.ValidString(d.Language) {
		return d, false, fault.Field("text", "The document has bytes that are no UTF-8.")
	}
	passages, err := d.Split()
	if err != nil {
		return d, false, err
	}
	p := &putting{s: s, tenant: tenant, d: d, passages: passages, sum: contentSum(d)}
	p.d.Embed = nil
	for range tries {
		same, err := p.prepare(ctx, d.Embed)
		if err != nil {
			return p.d, false, err
		}
		if same != nil {
			return same.document(), false, nil
		}
		switch again, err := p.store(ctx); {
		case err != nil:
			return p.d, false, err
		case !again:
			return p.d, true, nil
		}
		if err := pause(ctx); err != nil {
			return p.d, false, err
		}
	}
	return p.d, false, busy(d.Key)
}

// Get implements rag.Library.
func (s *Store) Get(ctx context.Context, tenant string, k rag.Key) (rag.Document, error) {
	h, _, err := s.look(ctx, tenant, k)
	if err != nil {
		return rag.Document{}, err
	}
	if h == nil || h.gen == "" {
		return rag.Document{}, rag.Missing(k)
	}
	d := h.document()
	d.Text = h.Text
	return d, nil
}

// Delete implements rag.Library.
func (s *Store) Delete(ctx context.Context, tenant string, k rag.Key) error {
	for n := range tries {
		h, _, err := s.look(ctx, tenant, k)
		if err != nil {
			return err
		}
		if h == nil || h.gen == "" && len(h.dead) == 0 {
			if n > 0 { // it did work, before others came
				return nil
			}
			return rag.Missing(k)
		}
		if h.gen != "" {
			gone := h.without()
			ok, err := s.replace(ctx, h, gone)
			if err != nil {
				return err
			}
			if !ok {
				if err := pause(ctx); err != nil {
					return err
				}
				continue
			}
			h = gone
		}
		if err := s.clean(ctx, h); err != nil {
			return err
		}
		s.collectRests(ctx, tenant)
		return nil
	}
	return busy(k)
}

var uuid = pattern.Pattern{Expr: `^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$`}

// Documents implements rag.Library, in the order of the points' ids.
func (s *Store) Documents(ctx context.Context, tenant string, of rag.Key, after string, limit int) ([]rag.Document, string, error) {
	must := []*qdrant.Condition{match("tenant", tenant), match("state", stateLive, stateBare)}
	if of.Collection != "" {
		must = append(must, match("collection", of.Collection))
	}
	if of.ID != "" {
		must = append(must, match("id", of.ID))
	}
	if after != "" && !uuid.Match(after) {
		return nil, "", fault.Field("after", "'after' must be what an earlier page said was next.")
	}
	heads, next, err := s.scroll(ctx, &qdrant.Filter{Must: must}, after, limit)
	if err != nil {
		return nil, "", err
	}
	var list []rag.Document
	for _, h := range heads {
		list = append(list, h.document())
	}
	return list, next, nil
}

// Close ends the connection.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	s.conn = nil
	return err
}

func busy(k rag.Key) error {
	return fault.New(fault.Unavailable, "The document '%s' is being changed by too many at once; try again.", k.ID)
}

// contentSum is the same for the same content that is read in the same way.
func contentSum(d rag.Document) string {
	return digest(string(d.Kind), d.Language, d.Text, string(d.Metadata), rag.SplitVersion(d.Kind), rag.IndexVersion)
}

// digest is the same for the same parts, and for no others.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// pointID is a UUID made of parts (version 8: a hash of our own).
func pointID(parts ...string) *qdrant.PointId {
	h := []byte(digest(parts...)[:32])
	h[12], h[16] = '8', "89ab"[h[16]%4]
	return qdrant.NewIDUUID(fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:]))
}

func match(field string, values ...string) *qdrant.Condition {
	if len(values) == 1 {
		return qdrant.NewMatchKeyword(field, values[0])
	}
	return qdrant.NewMatchKeywords(field, values...)
}

func text(p map[string]*qdrant.Value, field string) string { return p[field].GetStringValue() }

func texts(p map[string]*qdrant.Value, field string) []string {
	var list []string
	for _, v := range p[field].GetListValue().GetValues() {
		list = append(list, v.GetStringValue())
	}
	return list
}

func list(values []string) *qdrant.Value {
	all := make([]*qdrant.Value, len(values))
	for i, v := range values {
		all[i] = qdrant.NewValueString(v)
	}
	return qdrant.NewValueFromList(all...)
}

func raw(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}
