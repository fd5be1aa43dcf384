package cluster_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"prumo.dev/prumo/internal/apply"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/diff"
)

// A gate is a webhook that is asked about the object "stuck" of a namespace.
type gate struct {
	mood    atomic.Value       // "refuse", "hang", "slow" or "allow"
	hanging chan *http.Request // that nobody answers yet
	free    chan struct{}      // one for each that may go on
}

func (w *world) gate(t *testing.T, ns string) *gate {
	t.Helper()
	g := &gate{hanging: make(chan *http.Request, 100), free: make(chan struct{}, 100)}
	g.mood.Store("refuse")
	srv := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, q *http.Request) {
		var review admissionv1.AdmissionReview
		_ = json.NewDecoder(q.Body).Decode(&review)
		if mood := g.mood.Load(); mood == "hang" || mood == "slow" {
			g.hanging <- q
			<-g.free
		}
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: g.mood.Load() != "refuse", Result: &metav1.Status{Message: "not today"}}
		_ = json.NewEncoder(rw).Encode(review)
	}))
	t.Cleanup(func() { g.free <- struct{}{}; srv.CloseClientConnections() })
	hook := unstructuredOf(t, fmt.Sprintf(`{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: %s}, webhooks: [
  {name: gate.example.org, sideEffects: None, admissionReviewVersions: [v1], timeoutSeconds: 30, clientConfig: {url: %q, caBundle: ""},
   namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %s}}, matchConditions: [{name: it, expression: "object.metadata.name == 'stuck'"}],
   rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}]}]}`, ns, srv.URL, ns))
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	at(hook.Object, "webhooks").([]any)[0].(map[string]any)["clientConfig"].(map[string]any)["caBundle"] = bundle
	hooks := w.any.Resource(gvr("admissionregistration.k8s.io", "validatingwebhookconfigurations"))
	if _, err := hooks.Create(t.Context(), normal(t, hook), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hooks.Delete(t.Context(), ns, metav1.DeleteOptions{}) })
	maps := w.any.Resource(gvr("", "configmaps")).Namespace(ns)
	until(t, "the webhook is asked", func() error {
		_, err := maps.Create(t.Context(), unstructuredOf(t, configMap(ns, "stuck", "x")), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil || !strings.Contains(err.Error(), "not today") {
			return fmt.Errorf("said %v", err)
		}
		return nil
	})
	return g
}

// asked waits for a question that hangs.
func (g *gate) asked(t *testing.T) *http.Request {
	t.Helper()
	select {
	case q := <-g.hanging:
		return q
	case <-time.After(30 * time.Second):
		t.Fatal("nobody asked")
		return nil
	}
}

// TestSnags has a webhook stand in the way of one object, in words and by not
// answering: passes tell it, and put right what drifts, without a request about it and
// while an answer is awaited. What is wanted anew is asked about at once. When nothing
// is in the way any more the loop is woken, and all is applied.
func TestSnags(t *testing.T) {
	w := newWatcher(t, time.Hour)
	ns := w.namespace(t)
	g := w.gate(t, ns)
	maps := w.people.CoreV1().ConfigMaps(ns)
	pass := func(r core.Rendering, asks bool) {
		t.Helper()
		before := len(w.log.sent())
		plan, err := w.pass(t, r)
		if err != nil || len(plan.Changes) == 0 {
			t.Fatalf("%v, plan %+v", err, plan.Changes)
		}
		c := plan.Changes[len(plan.Changes)-1]
		if c.ID.Name != "stuck" || c.Action != core.ActionBlocked || !strings.Contains(c.Reason, "webhook gate.example.org") || c.RetryAt.IsZero() != asks {
			t.Errorf("%s %s, %q, tried again at %v; want it blocked, and asked about: %t", c.Action, c.ID, c.Reason, c.RetryAt, asks)
		}
		if now := w.log.sent(); !asks && len(now) > before {
			t.Errorf("sent %v", now[before:])
		}
	}
	r := render(t, configMap(ns, "fine", "one"), configMap(ns, "stuck", "one"))
	if plan, err := w.pass(t, r); err != nil || plan.Count(core.ActionCreate) != 2 {
		t.Fatalf("%v, plan %+v", err, plan.Changes)
	}
	g.mood.Store("hang")
	asked := g.asked(t) // beside the passes
	until(t, "fine is seen", func() error {
		if plan, err := w.pass(t, r); err != nil || len(plan.Changes) != 1 {
			return fmt.Errorf("%v, %+v", err, plan.Changes)
		}
		return nil
	})
	for range 5 {
		pass(r, false)
	}
	w.drain(t)
	w.patch(t, ns, "fine", `{"data":{"key":"edited"}}`)
	w.woken(t)
	if _, err := w.pass(t, r); err != nil {
		t.Fatal(err)
	}
	if fine, err := maps.Get(t.Context(), "fine", metav1.GetOptions{}); err != nil || fine.Data["key"] != "one" {
		t.Errorf("%v, the edit was not put back: %v", err, fine.Data)
	}
	if err := asked.Context().Err(); err != nil {
		t.Errorf("the passes waited for the webhook: %v", err)
	}

	g.mood.Store("refuse")
	g.free <- struct{}{}
	pass(render(t, configMap(ns, "fine", "one"), configMap(ns, "stuck", "two")), true)
	w.drain(t)
	g.mood.Store("allow")
	w.woken(t)
	w.settle(t, r)
	if stuck, err := maps.Get(t.Context(), "stuck", metav1.GetOptions{}); err != nil || stuck.Data["key"] != "one" {
		t.Errorf("%v, stuck is %v", err, stuck.Data)
	}
}

// TestFirstTryThatHangs has a webhook not answer about one of two objects that a
// commit changes: the other is applied, and the slow one told, while the answer is
// awaited beside the passes. When it is well, a pass waits for the webhook.
func TestFirstTryThatHangs(t *testing.T) {
	w := newWatcher(t, time.Hour)
	ns := w.namespace(t)
	w.settle(t, render(t, configMap(ns, "fine", "one"), configMap(ns, "stuck", "one")))
	g := w.gate(t, ns)
	const limit = 3 * time.Second // long enough for a busy server to answer about the other
	w.view.WaitFor(limit)
	g.mood.Store("hang")
	r := render(t, configMap(ns, "fine", "two"), configMap(ns, "stuck", "two"))
	plan, err := w.pass(t, r)
	if err != nil || len(plan.Changes) != 2 || plan.Changes[0].Action != core.ActionUpdate {
		t.Fatalf("%v, plan %+v", err, plan.Changes)
	}
	if c := plan.Changes[1]; c.Action != core.ActionBlocked || !strings.Contains(c.Reason, "has not answered within "+limit.String()) {
		t.Errorf("%s %s, %q", c.Action, c.ID, c.Reason)
	}
	if fine, err := w.people.CoreV1().ConfigMaps(ns).Get(t.Context(), "fine", metav1.GetOptions{}); err != nil || fine.Data["key"] != "two" {
		t.Errorf("%v, fine is %v", err, fine.Data)
	}
	g.asked(t) // by the pass
	g.asked(t) // beside it
	w.drain(t)
	g.mood.Store("slow")
	g.free <- struct{}{}
	g.free <- struct{}{}
	w.woken(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = w.pass(t, r)
	}()
	for _, slow := range []time.Duration{limit + time.Second/2, 0} { // whether it would, and to do it
		q := g.asked(t)
		select {
		case <-q.Context().Done():
			t.Fatal("the pass did not wait for what is known to be slow")
		case <-time.After(slow):
		}
		g.free <- struct{}{}
	}
	<-done
	g.mood.Store("allow")
	w.settle(t, r)
	if stuck, err := w.people.CoreV1().ConfigMaps(ns).Get(t.Context(), "stuck", metav1.GetOptions{}); err != nil || stuck.Data["key"] != "two" {
		t.Errorf("%v, stuck is %v", err, stuck.Data)
	}
}

// TestSnagOfOthers proves that an object of others, which they hold fields of, is
// not asked about in each pass, and is ours as soon as they have left it.
func TestSnagOfOthers(t *testing.T) {
	w := newWatcher(t, time.Hour)
	ns := w.namespace(t)
	w.foreign(t, configMap(ns, "a", "theirs"))
	r := render(t, configMap(ns, "a", "ours"))
	if plan, err := w.pass(t, r); err != nil || plan.Count(core.ActionBlocked) != 1 {
		t.Fatalf("%v, plan %+v", err, plan.Changes)
	}
	w.log.reset()
	for range 5 {
		if plan, err := w.pass(t, r); err != nil || plan.Count(core.ActionBlocked) != 1 || plan.Changes[0].RetryAt.IsZero() {
			t.Fatalf("%v, plan %+v", err, plan.Changes)
		}
	}
	if sent := w.log.sent(); len(sent) > 4 { // one retry may have fallen due
		t.Errorf("5 passes sent %v", sent)
	}
	// A spec that takes what they hold needs no other answer than the one at hand,
	// and what moved since is not taken.
	w.patch(t, ns, "a", `{"data":{"key":"theirs again"}}`)
	taking := r
	taking.Specs = []core.Spec{{ID: r.Objects[0].Spec, TakeConflicts: true}}
	w.settle(t, taking)
	remove(t, w.any.Resource(gvr("", "configmaps")).Namespace(ns), "a")
	w.foreign(t, configMap(ns, "a", "theirs"))
	until(t, "theirs is told", func() error {
		seen, err := w.view.ObserveToApply(t.Context(), r)
		if err != nil {
			return err
		}
		if c := diff.Make(core.Revision{}, seen, diff.Options{}).Changes; len(c) != 1 || c[0].Action != core.ActionBlocked {
			return fmt.Errorf("planned %+v", c)
		}
		return nil
	})
	w.drain(t)
	remove(t, w.any.Resource(gvr("", "configmaps")).Namespace(ns), "a")
	w.woken(t)
	plan, err := w.view.ObserveToApply(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := apply.New(w.Cluster, apply.Options{}).Apply(t.Context(), diff.Make(core.Revision{}, plan, diff.Options{})); err != nil {
		t.Fatal(err)
	}
	w.settle(t, r)
}
