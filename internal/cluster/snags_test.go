package cluster

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

func TestSnagSchedule(t *testing.T) {
	w := &Watched{memory: newMemory(time.Hour), stirred: make(chan struct{}, 1)}
	stuck := core.Object{ID: core.ObjectID{Kind: "ConfigMap", Namespace: "ns", Name: "a"}, Fields: fields()}
	meet := func() *snag {
		w.memory.met(core.Observed{Object: stuck, Blocked: "not today"})
		return w.memory.snag(stuck)
	}
	var got []time.Duration
	for _, age := range []time.Duration{0, 0, 0, 0, 0, 5 * time.Minute, time.Hour, 2 * time.Hour, 24 * time.Hour} {
		s := meet()
		got = append(got, s.next.Sub(s.asked).Round(time.Second)/time.Second)
		s.since = time.Now().Add(-age)
	}
	if diff := cmp.Diff([]time.Duration{1, 2, 4, 8, 10, 10, 10, 120, 240}, got); diff != "" {
		t.Errorf("seconds (-want +got)\n%s", diff)
	}
	for _, tt := range []struct {
		name string
		id   core.ObjectID
		soon bool
	}{
		{"something elsewhere", core.ObjectID{Kind: "ConfigMap", Namespace: "other", Name: "a"}, false},
		{"something beside it", core.ObjectID{Kind: "ResourceQuota", Namespace: "ns", Name: "q"}, true},
		{"something that lies in no namespace", core.ObjectID{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration", Name: "w"}, true},
	} {
		s := meet()
		w.stir(tt.id)
		if soon := s.next.Sub(s.asked) == firstRetry; soon != tt.soon {
			t.Errorf("after %s it is tried again in %v", tt.name, s.next.Sub(s.asked))
		}
	}
	if s := meet(); s.next.Sub(s.asked) != firstRetry {
		t.Errorf("what may have been mended is tried again in %v", s.next.Sub(s.asked))
	}
	for i := range 1000 {
		w.memory.snags[core.ObjectID{Name: fmt.Sprint(i)}] = nil
	}
	for range 10 {
		meet()
	}
	if s := meet(); s.next.Sub(s.asked) != 1001*retryGap {
		t.Errorf("of 1001 snags one is tried again in %v", s.next.Sub(s.asked))
	}
	other := stuck
	other.Fields = fields(func(m map[string]any) { m["data"] = map[string]any{"key": "other"} })
	if w.memory.snag(other) != nil {
		t.Error("it stands in the way of what nobody asked about")
	}
}

// TestManyHang: a pass that has waited in vain for many asks about nothing more.
func TestManyHang(t *testing.T) {
	p := newPass(nil, core.Rendering{}) // no cluster: it would not survive a question
	p.patience.limit = time.Second
	p.patience.hung.Store(maxHung)
	o := core.Observed{Object: core.Object{Fields: fields()}}
	if err := p.askInTime(t.Context(), &o); err != nil || !strings.HasPrefix(o.Blocked, "this pass has waited for 64 other answers in vain") {
		t.Errorf("%v, %+v; want it to be asked about beside the passes", err, o)
	}
}

func TestSnagHolds(t *testing.T) {
	live := fields(applied("here", "ConfigMap/ns/a", core.OriginCreated)...)
	edited := fields(applied("here", "ConfigMap/ns/a", core.OriginAdopted)...)
	for _, tt := range []struct {
		name  string
		found core.Observed
		now   *record
		want  bool
	}{
		{"nothing is there", core.Observed{}, nil, true},
		{"there is one now", core.Observed{}, &record{digest: digestOf(live)}, false},
		{"it is somebody's", core.Observed{Live: fields()}, nil, true},
		{"it is as it was", core.Observed{Live: live, Ours: true}, &record{digest: digestOf(live)}, true},
		{"it was changed", core.Observed{Live: live, Ours: true}, &record{digest: digestOf(edited)}, false},
		{"it is gone", core.Observed{Live: live, Ours: true}, nil, false},
	} {
		m := newMemory(time.Hour)
		tt.found.Object = core.Object{Fields: fields()}
		m.met(tt.found)
		if got := m.snag(tt.found.Object).holds(tt.now); got != tt.want {
			t.Errorf("%s: holds %t, want %t", tt.name, got, tt.want)
		}
	}
}

// TestBaulked: what was said of an object is not believed once an apply of it failed,
// and a refusal to create it is a snag like any other.
func TestBaulked(t *testing.T) {
	stuck := core.Object{ID: core.ObjectID{Kind: "ConfigMap", Namespace: "ns", Name: "a"}, Fields: fields()}
	existing := fields(inMeta("uid", "u1"))
	for _, tt := range []struct {
		name     string
		manifest map[string]any
		err      error
		want     string
	}{
		{"it is not created", fields(), said(403, "not today"), "refused: Forbidden"},
		{"somebody else created it", fields(), said(409, "exists"), ""},
		{"it is not changed", existing, said(403, "not today"), ""},
		{"the server is away", fields(), errors.New("EOF"), ""},
	} {
		m := newMemory(time.Hour)
		m.met(core.Observed{Object: stuck, Blocked: "yesterday"})
		m.baulked(stuck, tt.manifest, tt.err)
		s, got := m.snag(stuck), ""
		if !s.gone {
			got = s.found.Blocked
		}
		if got != tt.want {
			t.Errorf("%s: what stands in the way is %q, want %q", tt.name, got, tt.want)
		}
	}
}
