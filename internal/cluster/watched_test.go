package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"prumo.dev/prumo/internal/apply"
	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/diff"
)

// A watcher is a world that is seen by watches, and what makes plans true in it.
type watcher struct {
	*world
	view *cluster.Watched
}

func newWatcher(t *testing.T, every time.Duration, change ...func(*rest.Config)) *watcher {
	t.Helper()
	w := newWorld(t, change...)
	ctx, cancel := context.WithCancel(context.Background())
	v := &watcher{w, w.Watch(ctx, every)}
	t.Cleanup(func() { cancel(); v.view.Wait() })
	return v
}

// pass observes, plans and applies, as the daemon does, and returns the plan.
func (w *watcher) pass(t *testing.T, r core.Rendering) (core.Plan, error) {
	t.Helper()
	seen, err := w.view.ObserveToApply(t.Context(), r)
	if err != nil {
		return core.Plan{}, err
	}
	plan := diff.Make(core.Revision{}, seen, diff.Options{})
	_, err = apply.New(w.Cluster, apply.Options{}).Apply(t.Context(), plan)
	return plan, err
}

// settle runs passes until one finds nothing to do and sends nothing.
func (w *watcher) settle(t *testing.T, r core.Rendering) {
	t.Helper()
	until(t, "nothing is left to do", func() error {
		w.log.reset()
		plan, err := w.pass(t, r)
		if sent := w.log.sent(); err != nil || !plan.Empty() || len(sent) > 0 {
			return fmt.Errorf("%v, plan %+v, sent %v", err, plan.Changes, sent)
		}
		return nil
	})
}

// woken waits for a wake.
func (w *watcher) woken(t *testing.T) {
	t.Helper()
	select {
	case <-w.view.Wake():
	case <-time.After(30 * time.Second):
		t.Fatal("nothing woke the loop")
	}
}

// drain forgets the wakes of what was done before.
func (w *watcher) drain(t *testing.T) {
	t.Helper()
	for {
		select {
		case <-w.view.Wake():
		case <-time.After(time.Second): // far longer than a wake waits for more
			return
		}
	}
}

// sent is what was sent but for the watches themselves.
func (r *requests) sent() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.all), func(q string) bool { return slices.Contains(r.watches, q) })
}

// watched are the paths of what is watched.
func (r *requests) watched() (paths []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.watches {
		paths = append(paths, strings.TrimPrefix(q, "WATCH "))
	}
	return paths
}

func until(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(45 * time.Second)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (w *watcher) patch(t *testing.T, ns, name, body string) {
	t.Helper()
	_, err := w.people.CoreV1().ConfigMaps(ns).Patch(t.Context(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: "kubectl-edit"})
	if err != nil {
		t.Fatal(err)
	}
}

// TestWatchedIdle proves that nothing changed costs nothing, and that what others
// write beside our fields costs nothing either.
func TestWatchedIdle(t *testing.T) {
	w := newWatcher(t, time.Hour)
	ns := w.namespace(t)
	r := render(t, configMap(ns, "a", "one"), configMap(ns, "b", "two"),
		"apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q, namespace: "+ns+"}\nspec: {hard: {pods: \"1000m\"}}")
	w.settle(t, r)
	w.drain(t)
	w.patch(t, ns, "a", `{"data":{"other":"x"},"metadata":{"labels":{"theirs":"y"}}}`)
	live := func() (version string) {
		a, err := w.people.CoreV1().ConfigMaps(ns).Get(t.Context(), "a", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return a.ResourceVersion
	}
	version := live()
	w.log.reset()
	for range 20 {
		plan, err := w.pass(t, r)
		if err != nil || !plan.Empty() || plan.Unchanged != 3 {
			t.Fatalf("%v, plan %+v", err, plan)
		}
	}
	if sent := w.log.sent(); len(sent) > 0 {
		t.Errorf("20 passes over what did not change sent %v", sent)
	}
	if live() != version {
		t.Error("written to all the same")
	}
	w.patch(t, ns, "b", `{"data":{"key":"edited"}}`) // the watch has the edit beside by then
	w.woken(t)
	w.settle(t, r)
}

// TestWatchedEdit proves that an edit wakes the loop and is put right by one
// dry-run and one apply, and that what follows costs nothing.
func TestWatchedEdit(t *testing.T) {
	w := newWatcher(t, time.Hour)
	ns := w.namespace(t)
	r := render(t, configMap(ns, "a", "one"), configMap(ns, "b", "two"))
	w.settle(t, r)
	w.drain(t)
	w.log.reset()
	w.patch(t, ns, "a", `{"data":{"key":"edited"}}`)
	w.woken(t)
	if _, err := w.pass(t, r); err != nil {
		t.Fatal(err)
	}
	until(t, "put back", func() error {
		a, err := w.people.CoreV1().ConfigMaps(ns).Get(t.Context(), "a", metav1.GetOptions{})
		if err == nil && a.Data["key"] != "one" {
			err = errors.New(a.Data["key"])
		}
		return err
	})
	w.drain(t)
	if _, err := w.pass(t, r); err != nil {
		t.Fatal(err)
	}
	if sent := w.log.sent(); len(sent) > 2 || w.log.count("GET", "") > 0 {
		t.Errorf("an edit was put right by %v, want one dry-run and one apply", sent)
	}
}

// TestWatchedConflicts proves that the one question of a watched object names the
// same conflicts as the server itself, and that they are asked about once.
func TestWatchedConflicts(t *testing.T) {
	quota := func(ns string, gpus int) string {
		return fmt.Sprintf("apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q, namespace: %s}\n"+
			"spec: {hard: {\"requests.nvidia.com/gpu\": \"%d\", pods: \"10\"}}", ns, gpus)
	}
	for _, operation := range []string{"Apply", "Update"} {
		t.Run(operation, func(t *testing.T) {
			w := newWatcher(t, time.Hour)
			ns := w.namespace(t)
			r := render(t, quota(ns, 8))
			w.settle(t, r)
			quotas := w.any.Resource(gvr("", "resourcequotas")).Namespace(ns)
			theirs, err := quotas.Get(t.Context(), "q", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if operation == "Apply" {
				_, err = quotas.Apply(t.Context(), "q", unstructuredOf(t, quota(ns, 9)), metav1.ApplyOptions{FieldManager: "terraform", Force: true})
			} else {
				theirs.Object["spec"] = unstructuredOf(t, quota(ns, 9)).Object["spec"]
				_, err = quotas.Update(t.Context(), theirs, metav1.UpdateOptions{FieldManager: "kubectl-edit"})
			}
			if err != nil {
				t.Fatal(err)
			}
			want := one(t, w.observe(t, r), "ResourceQuota").Conflicts
			if len(want) == 0 {
				t.Fatal("no conflict")
			}
			until(t, "the conflict is told", func() error {
				seen, err := w.view.Observe(t.Context(), r)
				if err != nil {
					return err
				}
				if diff := cmp.Diff(want, one(t, seen, "ResourceQuota").Conflicts); diff != "" {
					return errors.New("(-server +ours)\n" + diff)
				}
				return nil
			})
			w.log.reset()
			if _, err := w.view.Observe(t.Context(), r); err != nil || len(w.log.sent()) > 0 {
				t.Errorf("%v, asked again: %v", err, w.log.sent())
			}
		})
	}
}

// TestWatchedConverges damages what is applied and waits until it is right again.
func TestWatchedConverges(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func(*watcher, *testing.T, string)
	}{
		{"mark removed", func(w *watcher, t *testing.T, ns string) {
			w.patch(t, ns, "a", `{"metadata":{"labels":{"prumo.dev/owner":null}}}`)
		}},
		{"id removed", func(w *watcher, t *testing.T, ns string) {
			w.patch(t, ns, "a", `{"metadata":{"annotations":{"prumo.dev/id":null}}}`)
		}},
		{"deleted", func(w *watcher, t *testing.T, ns string) {
			if err := w.people.CoreV1().ConfigMaps(ns).Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}},
		{"deleted and made anew by others", func(w *watcher, t *testing.T, ns string) {
			maps := w.people.CoreV1().ConfigMaps(ns)
			if err := maps.Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			u := unstructuredOf(t, configMap(ns, "a", "theirs"))
			if _, err := w.any.Resource(gvr("", "configmaps")).Namespace(ns).Create(t.Context(), u, metav1.CreateOptions{FieldManager: "kubectl-create"}); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWatcher(t, time.Hour)
			ns := w.namespace(t)
			r := render(t, configMap(ns, "a", "one"), configMap(ns, "b", "two"))
			r.Specs[0].TakeConflicts = true
			w.settle(t, r)
			w.drain(t)
			tt.damage(w, t, ns)
			w.woken(t)
			w.settle(t, r)
			a, err := w.people.CoreV1().ConfigMaps(ns).Get(t.Context(), "a", metav1.GetOptions{})
			if err != nil || a.Data["key"] != "one" || a.Labels[core.LabelOwner] != w.Instance() || a.Annotations[core.AnnotationID] == "" {
				t.Errorf("not right again: %v, %+v", err, a)
			}
		})
	}
}

// TestWatchedOrphan proves that what leaves the repo is read live before it is
// planned to be deleted, and that a copy with our label is left alone.
func TestWatchedOrphan(t *testing.T) {
	w := newWatcher(t, time.Hour)
	ns := w.namespace(t)
	both := render(t, configMap(ns, "a", "one"), configMap(ns, "b", "two"))
	w.settle(t, both)
	stranger := unstructuredOf(t, configMap(ns, "stranger", "x"))
	stranger.SetLabels(map[string]string{core.LabelOwner: w.Instance()})
	if _, err := w.any.Resource(gvr("", "configmaps")).Namespace(ns).Create(t.Context(), stranger, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.settle(t, both)
	w.log.reset()
	seen, err := w.view.Observe(t.Context(), render(t, configMap(ns, "b", "two")))
	if err != nil || len(seen.Orphans) != 1 {
		t.Fatalf("%v, orphans %v, want a", err, seen.Orphans)
	}
	if w.log.count("GET", "/configmaps/a") == 0 {
		t.Error("planned to be deleted on the word of a watch")
	}
	w.settle(t, render(t, configMap(ns, "b", "two")))
	left, err := w.people.CoreV1().ConfigMaps(ns).List(t.Context(), metav1.ListOptions{LabelSelector: core.LabelOwner})
	if err != nil || len(left.Items) != 2 {
		t.Errorf("%v, left %d, want b and the stranger", err, len(left.Items))
	}
}

// TestWatchedKindAppears proves that a definition wakes the loop, and that what
// waits for it is applied; that its end is told, not taken for a fault; and that
// all is made anew when it comes back. It takes a little longer where definitions
// are not ours to see.
func TestWatchedKindAppears(t *testing.T) {
	for name, tt := range map[string]struct {
		banned string
		rounds int
	}{"watched": {"", 2}, "asked": {"/customresourcedefinitions", 1}} {
		t.Run(name, func(t *testing.T) {
			c := &wire{banned: tt.banned}
			w := newWatcher(t, time.Hour, func(cfg *rest.Config) { cfg.Wrap(c.wrap) })
			ns := w.namespace(t)
			r := render(t, configMap(ns, "a", "one"),
				"apiVersion: watched.example.org/v1\nkind: Gadget\nmetadata: {name: g, namespace: "+ns+"}\nspec: {size: 1}")
			plan, err := w.pass(t, r)
			if err != nil || plan.Count(core.ActionBlocked) != 1 {
				t.Fatalf("%v, plan %+v, want Gadget blocked", err, plan.Changes)
			}
			for range tt.rounds {
				w.drain(t)
				if _, err := w.pass(t, r); err != nil {
					t.Fatal(err)
				}
				w.gadgetAppears(t, r)
				w.settle(t, r)
				w.drain(t)
				w.gadgetVanishes(t, r)
			}
		})
	}
}

func (w *watcher) gadgetAppears(t *testing.T, r core.Rendering) {
	t.Helper()
	crds := w.any.Resource(gvr("apiextensions.k8s.io", "customresourcedefinitions"))
	if _, err := crds.Create(t.Context(), unstructuredOf(t, gadgets), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	gadget := w.any.Resource(gvr("watched.example.org", "gadgets")).Namespace(instanceOf(t))
	until(t, "the gadget is applied", func() error {
		w.woken(t)
		if _, err := w.pass(t, r); err != nil {
			return err
		}
		_, err := gadget.Get(t.Context(), "g", metav1.GetOptions{})
		return err
	})
}

func (w *watcher) gadgetVanishes(t *testing.T, r core.Rendering) {
	t.Helper()
	crds := w.any.Resource(gvr("apiextensions.k8s.io", "customresourcedefinitions"))
	if err := crds.Delete(t.Context(), "gadgets.watched.example.org", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "its end is told", func() error {
		w.woken(t)
		plan, err := w.pass(t, r)
		if err != nil || plan.Count(core.ActionBlocked) != 1 || plan.Unchanged != 1 {
			return fmt.Errorf("%v, plan %+v", err, plan.Changes)
		}
		return nil
	})
	until(t, "the definition is gone", func() error {
		_, err := crds.Get(t.Context(), "gadgets.watched.example.org", metav1.GetOptions{})
		if err == nil {
			return errors.New("not yet")
		}
		return nil
	})
}

const gadgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.watched.example.org}
spec:
  group: watched.example.org
  scope: Namespaced
  names: {kind: Gadget, plural: gadgets}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// TestWatchedVerifies proves that what was learned long ago is asked again.
func TestWatchedVerifies(t *testing.T) {
	w := newWatcher(t, time.Nanosecond)
	ns := w.namespace(t)
	r := render(t, configMap(ns, "a", "one"))
	until(t, "applied", func() error {
		plan, err := w.pass(t, r)
		if err == nil && !plan.Empty() {
			err = errors.New("not yet")
		}
		return err
	})
	w.log.reset()
	if _, err := w.pass(t, r); err != nil {
		t.Fatal(err)
	}
	if w.log.count("PATCH", "/configmaps/a") != 1 {
		t.Errorf("sent %v, want a dry-run", w.log.sent())
	}
}

// TestWatchedRest proves that an object over which others fight is left alone:
// what happens to it wakes nobody and asks nothing, until it is looked at again.
func TestWatchedRest(t *testing.T) {
	w := newWatcher(t, time.Hour)
	ns := w.namespace(t)
	r := render(t, configMap(ns, "a", "one"), configMap(ns, "b", "two"))
	w.settle(t, r)
	w.patch(t, ns, "a", `{"data":{"key":"edited"}}`)
	until(t, "the edit is seen", func() error {
		seen, err := w.view.Observe(t.Context(), r)
		if err == nil && diff.Make(core.Revision{}, seen, diff.Options{}).Empty() {
			err = errors.New("not yet")
		}
		return err
	})
	resting := r
	resting.Objects = slices.Clone(r.Objects)
	for i, o := range resting.Objects {
		resting.Objects[i].Rest = o.ID.Name == "a"
	}
	look := func(r core.Rendering) int {
		t.Helper()
		w.log.reset()
		seen, err := w.view.Observe(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if plan := diff.Make(core.Revision{}, seen, diff.Options{}); len(plan.Changes) != 1 || plan.Changes[0].ID.Name != "a" {
			t.Errorf("plan %+v, want the edit", plan.Changes)
		}
		return len(w.log.sent())
	}
	look(resting)
	w.drain(t)
	for i := range 5 {
		// Also what is still ours, so that its digest changes each time.
		w.patch(t, ns, "a", fmt.Sprintf(`{"data":{"key":"again %d"},"metadata":{"annotations":{"prumo.dev/spec":"%[1]d"}}}`, i))
	}
	select {
	case <-w.view.Wake():
		t.Error("woken by what rests")
	case <-time.After(time.Second): // far longer than a wake waits for more
	}
	if n := look(resting); n != 0 {
		t.Errorf("%d requests about what rests", n)
	}
	if n := look(r); n != 1 {
		t.Errorf("%d requests once it is looked at again, want the dry-run", n)
	}
}
