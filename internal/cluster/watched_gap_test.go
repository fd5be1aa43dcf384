package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/test/cluster/clustertest"
)

// A wire is a connection on which watches can be cut, kept away, and told that
// what they want to resume from has expired.
type wire struct {
	mu      sync.Mutex
	down    bool
	expired int // how many watches are still to be told 410
	streams []io.Closer
	refused string // the resource whose watches are forbidden
	banned  string // the resource of which nothing may be read
	stalled chan struct{}
}

func (c *wire) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(q *http.Request) (*http.Response, error) {
		if c.banned != "" && strings.HasSuffix(q.URL.Path, c.banned) {
			return status(q, 403, "Forbidden"), nil
		}
		if !q.URL.Query().Has("watch") {
			return next.RoundTrip(q)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case c.down:
			return nil, errors.New("cut")
		case c.refused != "" && strings.HasSuffix(q.URL.Path, c.refused):
			return status(q, 403, "Forbidden"), nil
		case c.expired > 0 && q.URL.Query().Get("resourceVersion") != "" && !q.URL.Query().Has("sendInitialEvents"):
			c.expired--
			return status(q, 410, "Expired"), nil
		}
		resp, err := next.RoundTrip(q)
		if err == nil {
			resp.Body = slow{resp.Body, c}
			c.streams = append(c.streams, resp.Body)
		}
		return resp, err
	})
}

func status(q *http.Request, code int, reason string) *http.Response {
	body := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`, reason, code)
	return &http.Response{StatusCode: code, Status: http.StatusText(code), Request: q, ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// cut ends all watches, and keeps them away until mend.
func (c *wire) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = true
	for _, s := range c.streams {
		_ = s.Close()
	}
	c.streams = nil
}

func (c *wire) mend(expired int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down, c.expired = false, expired
}

// TestWatchedGap proves that what happened while nobody watched is found after:
// an edit, a deletion, and an object made anew, whether the watch is resumed or,
// since it has expired, listed anew.
func TestWatchedGap(t *testing.T) {
	for _, expired := range []int{0, 2} {
		t.Run(fmt.Sprint("expired_", expired), func(t *testing.T) {
			c := new(wire)
			w := newWatcher(t, time.Hour, func(cfg *rest.Config) { cfg.Wrap(c.wrap) })
			ns := w.namespace(t)
			r := render(t, configMap(ns, "a", "one"), configMap(ns, "b", "two"), configMap(ns, "c", "three"))
			for i := range r.Specs {
				r.Specs[i].TakeConflicts = true
			}
			w.settle(t, r)
			c.cut()
			until(t, "the cut is told", func() error {
				if _, err := w.pass(t, r); err == nil {
					return errors.New("believed what nobody watches")
				}
				return nil
			})
			maps := w.people.CoreV1().ConfigMaps(ns)
			w.patch(t, ns, "a", `{"data":{"key":"edited"}}`)
			for _, name := range []string{"b", "c"} {
				if err := maps.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			u := unstructuredOf(t, configMap(ns, "c", "theirs"))
			if _, err := w.any.Resource(gvr("", "configmaps")).Namespace(ns).Create(t.Context(), u, metav1.CreateOptions{FieldManager: "kubectl-create"}); err != nil {
				t.Fatal(err)
			}
			c.mend(expired)
			until(t, "all is right again", func() error {
				if _, err := w.pass(t, r); err != nil {
					return err
				}
				for name, want := range map[string]string{"a": "one", "b": "two", "c": "three"} {
					m, err := maps.Get(t.Context(), name, metav1.GetOptions{})
					if err != nil || m.Data["key"] != want || m.Labels[core.LabelOwner] != w.Instance() {
						return fmt.Errorf("%s: %v, %v", name, err, m)
					}
				}
				return nil
			})
			w.settle(t, r)
		})
	}
}

// stall holds back what watches say, as a server that lags does, until the test
// has ended.
func (c *wire) stall(t *testing.T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalled = make(chan struct{})
	t.Cleanup(func() { close(c.stalled) })
}

// A slow body is read only while its wire is not stalled.
type slow struct {
	io.ReadCloser
	wire *wire
}

func (s slow) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.wire.mu.Lock()
	stalled := s.wire.stalled
	s.wire.mu.Unlock()
	if stalled != nil {
		<-stalled
	}
	return n, err
}

// TestWatchedLags proves that what a watch said before is not taken for what is:
// after an edit that it saw come an edit, a deletion that it does not see.
func TestWatchedLags(t *testing.T) {
	c := new(wire)
	w := newWatcher(t, time.Hour, func(cfg *rest.Config) { cfg.Wrap(c.wrap) })
	ns := w.namespace(t)
	r := render(t, configMap(ns, "a", "one"), configMap(ns, "b", "two"))
	w.settle(t, r)
	w.drain(t)
	for _, name := range []string{"a", "b"} {
		w.patch(t, ns, name, `{"data":{"key":"seen"}}`)
	}
	w.drain(t)
	c.stall(t)
	w.patch(t, ns, "a", `{"data":{"key":"unseen"}}`)
	if err := w.people.CoreV1().ConfigMaps(ns).Delete(t.Context(), "b", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	seen, err := w.view.Observe(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if a := seen.Objects[0]; at(a.Live, "data", "key") != "unseen" {
		t.Errorf("a is taken for %v", a.Live)
	}
	if b := seen.Objects[1]; b.Live != nil || b.Ours || at(b.Manifest, "metadata", "annotations", core.AnnotationOrigin) != core.OriginCreated {
		t.Errorf("b is taken for %v", b.Live)
	}
}

// TestWatchedForbidden proves that a kind which may not be watched is listed.
func TestWatchedForbidden(t *testing.T) {
	c := &wire{refused: "/configmaps"}
	w := newWatcher(t, time.Hour, func(cfg *rest.Config) { cfg.Wrap(c.wrap) })
	ns := w.namespace(t)
	r := render(t, configMap(ns, "a", "one"), configMap(ns, "b", "two"))
	until(t, "applied", func() error {
		plan, err := w.pass(t, r)
		if err == nil && plan.Unchanged != 2 {
			err = fmt.Errorf("plan %+v", plan.Changes)
		}
		return err
	})
	plan, err := w.pass(t, render(t, configMap(ns, "b", "two")))
	if err != nil || plan.Count(core.ActionDelete) != 1 {
		t.Errorf("%v, plan %+v, want a deleted", err, plan.Changes)
	}
}

// TestWatchedRestart stops the API server and starts it again.
func TestWatchedRestart(t *testing.T) {
	w := newWatcher(t, time.Hour)
	ns := w.namespace(t)
	r := render(t, configMap(ns, "a", "one"))
	r.Specs[0].TakeConflicts = true
	w.settle(t, r)
	w.drain(t)
	server := clustertest.Shared(t)
	if err := server.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.StartAPIServer(context.Background()) })
	w.woken(t)
	until(t, "the outage is told", func() error {
		if _, err := w.pass(t, r); err == nil {
			return errors.New("believed what nobody watches")
		}
		return nil
	})
	if err := server.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.patch(t, ns, "a", `{"data":{"key":"edited"}}`)
	until(t, "put back", func() error {
		if _, err := w.pass(t, r); err != nil {
			return err
		}
		a, err := w.people.CoreV1().ConfigMaps(ns).Get(t.Context(), "a", metav1.GetOptions{})
		if err == nil && a.Data["key"] != "one" {
			err = errors.New(a.Data["key"])
		}
		return err
	})
	w.settle(t, r)
}

// TestWatchedHardware proves that what a machine says of itself is seen by a
// watch, that its heartbeats cost nothing, and that taints of others wake nobody
// for long.
func TestWatchedHardware(t *testing.T) {
	w := newWatcher(t, time.Hour)
	node := w.join(t)
	r := render(t, nodeSpec(node, "{key: gpu, effect: NoSchedule}"))
	expected := objectOf(t, "apiVersion: v1\nkind: Node\nmetadata: {name: "+node+"}\nstatus: {capacity: {pods: \"8\"}}")
	r.Expects = []core.Object{expected}
	say := func(body string) {
		t.Helper()
		if _, err := w.people.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: "kubelet"}, "status"); err != nil {
			t.Fatal(err)
		}
	}
	say(`{"status":{"capacity":{"pods":"8"}}}`)
	w.settle(t, r)
	w.drain(t)
	say(`{"status":{"conditions":[{"type":"Ready","status":"True","lastHeartbeatTime":"2026-01-01T00:00:00Z"}]}}`)
	say(`{"status":{"capacity":{"pods":"7"}}}`)
	w.woken(t)
	w.log.reset()
	plan, err := w.pass(t, r)
	if err != nil || plan.Count(core.ActionObserve) != 1 || len(w.log.sent()) > 0 {
		t.Errorf("%v, plan %+v, sent %v; want hardware told for nothing", err, plan.Changes, w.log.sent())
	}
	say(`{"status":{"capacity":{"pods":"8"}}}`)
	w.woken(t)
	w.settle(t, r)

	w.patchTaints(t, node, "[]")
	w.woken(t)
	w.settle(t, r)
	if got := w.taints(t, node); len(got) != 1 || got[0] != "gpu:NoSchedule" {
		t.Errorf("taints %v", got)
	}
}
