package telemetry

import (
	"net/http"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/trace"

	"github.com/devmentor/ai-gateway/shared/usage"
)

func TestParentFromHeaders(t *testing.T) {
	const (
		root   = "Root=1-5759e988-bd862e3fe1be46a994272793"
		parent = "Parent=53995c3f42cd8ad8"
		id     = "5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8"
	)
	tests := []struct {
		name, traceparent, xray string
		want                    string // trace and span; "" means a new trace
		sampled                 bool
	}{
		{"traceparent", traceparent, "", "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", true},
		{"traceparent, not kept", traceparent[:53] + "00", "", "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", false},
		{"traceparent comes first", traceparent, root + ";" + parent, "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", true},
		{"broken traceparent", "00-zz", root + ";" + parent + ";Sampled=1", id, true},
		{"traceparent of zeros", "00-00000000000000000000000000000000-0000000000000000-01", "", "", false},
		{"X-Ray", "", root + ";" + parent + ";Sampled=1", id, true},
		{"X-Ray, not kept", "", root + ";" + parent + ";Sampled=0", id, false},
		{"X-Ray, we decide", "", root + ";" + parent, id, true},
		{"X-Ray, we are asked to decide", "", root + ";" + parent + ";Sampled=?", id, true},
		{"X-Ray with spaces, another order and more", "", "Self=1-2-3; Sampled=1; " + parent + "; " + root + "; CalledFrom=app", id, true},
		{"X-Ray in capitals", "", "Root=1-5759E988-BD862E3FE1BE46A994272793;Parent=53995C3F42CD8AD8;Sampled=1", id, true},
		{"X-Ray without parent", "", root, "", false},
		{"X-Ray without root", "", parent + ";Sampled=1", "", false},
		{"X-Ray, short root", "", "Root=1-5759e988-bd86;" + parent, "", false},
		{"X-Ray, other version", "", "Root=2-5759e988-bd862e3fe1be46a994272793;" + parent, "", false},
		{"X-Ray, dash elsewhere", "", "Root=1-5759e98-8bd862e3fe1be46a994272793;" + parent, "", false},
		{"X-Ray, not hexadecimal", "", "Root=1-5759e988-bd862e3fe1be46a99427279x;" + parent, "", false},
		{"X-Ray, parent not hexadecimal", "", root + ";Parent=5399", "", false},
		{"X-Ray, zeros", "", "Root=1-00000000-000000000000000000000000;Parent=0000000000000000", "", false},
		{"nothing", "", "", "", false},
		{"nonsense", ";;;===", ";;;===", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tracer := open(t, &collector{})
				header := http.Header{}
				header.Set("traceparent", tt.traceparent)
				header.Set("x-amzn-trace-id", tt.xray)
				sc := trace.SpanContextFromContext(tracer.parent(t.Context(), header))
				got := ""
				if sc.IsValid() {
					got = sc.TraceID().String() + "-" + sc.SpanID().String()
				}
				if got != tt.want || sc.IsSampled() != tt.sampled || sc.IsRemote() != (tt.want != "") {
					t.Errorf("parent = %q, sampled %v, remote %v, want %q, %v", got, sc.IsSampled(), sc.IsRemote(), tt.want, tt.sampled)
				}
				_, req := tracer.Start(t.Context(), header, "GET", "/r")
				req.End(&usage.Record{})
				if err := tracer.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func FuzzXRay(f *testing.F) {
	f.Add("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
	f.Fuzz(func(t *testing.T, header string) {
		if sc, decided := xray(header); sc.IsSampled() && !decided {
			t.Errorf("%q: sampled without a decision", header)
		}
	})
}
