// Package qdranttest is a Qdrant in this process, for tests: those calls that
// the gateway makes, on the stubs of Qdrant's own client. It is as strict as a
// server in strict mode: fields that are filtered by need an index.
package qdranttest

import (
	"context"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Server is a Qdrant.
type Server struct {
	URL string
	Key string // that callers must have; "" for none

	mu          sync.Mutex
	collections map[string]*collection
	calls       []string // the names of the calls so far
	before      func(method string, n int) error
	after       func(method string, n int) error
	watch       func(method string, req any)
	grpc        *grpc.Server
}

type collection struct {
	config  *qdrant.CollectionParams
	indexes map[string]*qdrant.PayloadSchemaInfo
	points  map[string]*qdrant.PointStruct
}

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{URL: "http://" + ln.Addr().String(), collections: map[string]*collection{}}
	s.grpc = grpc.NewServer(grpc.UnaryInterceptor(s.intercept))
	qdrant.RegisterPointsServer(s.grpc, &points{s: s})
	qdrant.RegisterCollectionsServer(s.grpc, &collections{s: s})
	qdrant.RegisterQdrantServer(s.grpc, health{})
	go s.grpc.Serve(ln)
	t.Cleanup(s.grpc.Stop)
	return s
}

// Fail makes calls fail: before they are done, or after, so that their answers
// get lost. Both are given the name of the call, as "Points/Upsert", and its
// number, from 1, since Fail was called; either may be nil.
func (s *Server) Fail(before, after func(method string, n int) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after, s.calls = before, after, nil
}

// Watch shows all requests from now on.
func (s *Server) Watch(watch func(method string, req any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = watch
}

// Calls are the names of the calls since Fail was called.
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Holds says whether any point has a text in its payload.
func (s *Server) Holds(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.collections {
		for _, p := range c.points {
			for _, v := range p.GetPayload() {
				if strings.Contains(v.GetStringValue(), text) {
					return true
				}
			}
		}
	}
	return false
}

// Points is how many points the collections have whose names end so.
func (s *Server) Points(suffix string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for name, c := range s.collections {
		if strings.HasSuffix(name, suffix) {
			n += len(c.points)
		}
	}
	return n
}

// Collections lists the names of the collections.
func (s *Server) Collections() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.collections))
}

func (s *Server) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	method := strings.TrimPrefix(info.FullMethod, "/qdrant.")
	md, _ := metadata.FromIncomingContext(ctx)
	s.mu.Lock()
	s.calls = append(s.calls, method)
	n, before, after := len(s.calls), s.before, s.after
	if s.watch != nil {
		s.watch(method, req)
	}
	s.mu.Unlock()
	if key := md.Get("api-key"); s.Key != "" && (len(key) != 1 || key[0] != s.Key) {
		return nil, status.Error(codes.Unauthenticated, "Must provide an API key or an Authorization bearer token")
	}
	if before != nil {
		if err := before(method, n); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	out, err := handle(ctx, req)
	s.mu.Unlock()
	if err == nil && after != nil {
		err = after(method, n)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, "Wrong input: "+format, args...)
}

func (s *Server) collection(name string) (*collection, error) {
	c := s.collections[name]
	if c == nil {
		return nil, status.Errorf(codes.NotFound, "Not found: Collection `%s` doesn't exist!", name)
	}
	return c, nil
}

type health struct {
	qdrant.UnimplementedQdrantServer
}

func (health) HealthCheck(context.Context, *qdrant.HealthCheckRequest) (*qdrant.HealthCheckReply, error) {
	return &qdrant.HealthCheckReply{Title: "qdranttest", Version: "1.17.1"}, nil
}

// collections are the calls about them. All handlers run one at a time.
type collections struct {
	qdrant.UnimplementedCollectionsServer
	s *Server
}

func (h *collections) Get(_ context.Context, r *qdrant.GetCollectionInfoRequest) (*qdrant.GetCollectionInfoResponse, error) {
	c, err := h.s.collection(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	return &qdrant.GetCollectionInfoResponse{Result: &qdrant.CollectionInfo{
		Status: qdrant.CollectionStatus_Green, Config: &qdrant.CollectionConfig{Params: c.config}, PayloadSchema: maps.Clone(c.indexes),
		PointsCount: qdrant.PtrOf(uint64(len(c.points))),
	}}, nil
}

func (h *collections) CollectionExists(_ context.Context, r *qdrant.CollectionExistsRequest) (*qdrant.CollectionExistsResponse, error) {
	_, ok := h.s.collections[r.GetCollectionName()]
	return &qdrant.CollectionExistsResponse{Result: &qdrant.CollectionExists{Exists: ok}}, nil
}

func (h *collections) Create(_ context.Context, r *qdrant.CreateCollection) (*qdrant.CollectionOperationResponse, error) {
	name := r.GetCollectionName()
	if h.s.collections[name] != nil {
		return nil, invalid("Collection `%s` already exists!", name)
	}
	if name == "" || len(name) > 255 || strings.ContainsAny(name, `<>:"/\|?*`+"\x00\x1f") {
		return nil, invalid("collection name %q", name)
	}
	for using, p := range r.GetVectorsConfig().GetParamsMap().GetMap() {
		if p.GetSize() < 1 || p.GetSize() > 65536 || p.GetDistance() != qdrant.Distance_Cosine {
			return nil, invalid("vectors %s: %v", using, p)
		}
	}
	h.s.collections[name] = &collection{
		config:  &qdrant.CollectionParams{VectorsConfig: r.GetVectorsConfig(), SparseVectorsConfig: r.GetSparseVectorsConfig()},
		indexes: map[string]*qdrant.PayloadSchemaInfo{}, points: map[string]*qdrant.PointStruct{},
	}
	return &qdrant.CollectionOperationResponse{Result: true}, nil
}

func (h *collections) List(context.Context, *qdrant.ListCollectionsRequest) (*qdrant.ListCollectionsResponse, error) {
	out := &qdrant.ListCollectionsResponse{}
	for name := range h.s.collections {
		out.Collections = append(out.Collections, &qdrant.CollectionDescription{Name: name})
	}
	return out, nil
}

func (h *collections) Delete(_ context.Context, r *qdrant.DeleteCollection) (*qdrant.CollectionOperationResponse, error) {
	_, ok := h.s.collections[r.GetCollectionName()]
	delete(h.s.collections, r.GetCollectionName())
	return &qdrant.CollectionOperationResponse{Result: ok}, nil
}

// points are the calls about them.
type points struct {
	qdrant.UnimplementedPointsServer
	s *Server
}

var done = &qdrant.PointsOperationResponse{Result: &qdrant.UpdateResult{Status: qdrant.UpdateStatus_Completed}}

// waited refuses what would be found only later.
func waited(r interface{ GetWait() bool }) error {
	if !r.GetWait() {
		return invalid("the test wants wait=true")
	}
	return nil
}

func (h *points) CreateFieldIndex(_ context.Context, r *qdrant.CreateFieldIndexCollection) (*qdrant.PointsOperationResponse, error) {
	c, err := h.s.collection(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	if err := waited(r); err != nil {
		return nil, err
	}
	schema, ok := map[qdrant.FieldType]qdrant.PayloadSchemaType{
		qdrant.FieldType_FieldTypeKeyword: qdrant.PayloadSchemaType_Keyword, qdrant.FieldType_FieldTypeInteger: qdrant.PayloadSchemaType_Integer,
	}[r.GetFieldType()]
	if !ok {
		return nil, invalid("index of %v", r.GetFieldType())
	}
	c.indexes[r.GetFieldName()] = &qdrant.PayloadSchemaInfo{DataType: schema, Params: r.GetFieldIndexParams()}
	return done, nil
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func pointID(id *qdrant.PointId) (string, error) {
	if !uuid.MatchString(id.GetUuid()) {
		return "", invalid("Unable to parse UUID: %v", id)
	}
	return id.GetUuid(), nil
}

func (h *points) Upsert(_ context.Context, r *qdrant.UpsertPoints) (*qdrant.PointsOperationResponse, error) {
	c, err := h.s.collection(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	if err := waited(r); err != nil {
		return nil, err
	}
	type upsert struct {
		id string
		p  *qdrant.PointStruct
	}
	var all []upsert
	for _, p := range r.GetPoints() {
		id, err := pointID(p.GetId())
		if err != nil {
			return nil, err
		}
		if err := c.check(p); err != nil {
			return nil, err
		}
		if old := c.points[id]; old != nil && r.GetUpdateFilter() != nil {
			ok, err := c.passes(id, old.GetPayload(), r.GetUpdateFilter())
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
		}
		all = append(all, upsert{id, proto.CloneOf(p)})
	}
	for _, u := range all {
		c.points[u.id] = u.p
	}
	return done, nil
}

// check says what a server would not like in a point.
func (c *collection) check(p *qdrant.PointStruct) error {
	if p.GetVectors() == nil {
		return status.Error(codes.InvalidArgument, "Expected some vectors")
	}
	for using, v := range p.GetVectors().GetVectors().GetVectors() {
		if params, ok := c.config.GetVectorsConfig().GetParamsMap().GetMap()[using]; ok {
			if n := len(v.GetDense().GetData()); uint64(n) != params.GetSize() {
				return invalid("Vector dimension error: expected dim: %d, got %d", params.GetSize(), n)
			}
			continue
		}
		if _, ok := c.config.GetSparseVectorsConfig().GetMap()[using]; !ok {
			return invalid("Not existing vector name error: %s", using)
		}
		if err := checkSparse(v.GetSparse()); err != nil {
			return err
		}
	}
	return nil
}

func checkSparse(v *qdrant.SparseVector) error {
	seen := map[uint32]bool{}
	for _, i := range v.GetIndices() {
		if seen[i] {
			return invalid("indices: must be unique")
		}
		seen[i] = true
	}
	if len(v.GetIndices()) != len(v.GetValues()) {
		return invalid("values: must be the same length as indices")
	}
	return nil
}

// selected are the ids of the points that a selector means.
func (c *collection) selected(sel *qdrant.PointsSelector) ([]string, error) {
	if sel.GetFilter() == nil {
		return nil, fmt.Errorf("qdranttest: a selector of %T", sel.GetPointsSelectorOneOf())
	}
	var ids []string
	for id, p := range c.points {
		ok, err := c.passes(id, p.GetPayload(), sel.GetFilter())
		if err != nil {
			return nil, err
		}
		if ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (h *points) OverwritePayload(_ context.Context, r *qdrant.SetPayloadPoints) (*qdrant.PointsOperationResponse, error) {
	c, err := h.s.collection(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	if err := waited(r); err != nil {
		return nil, err
	}
	ids, err := c.selected(r.GetPointsSelector())
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		c.points[id].Payload = proto.CloneOf(&qdrant.PointStruct{Payload: r.GetPayload()}).GetPayload()
	}
	return done, nil
}

func (h *points) Delete(_ context.Context, r *qdrant.DeletePoints) (*qdrant.PointsOperationResponse, error) {
	c, err := h.s.collection(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	if err := waited(r); err != nil {
		return nil, err
	}
	ids, err := c.selected(r.GetPoints())
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		delete(c.points, id)
	}
	return done, nil
}
