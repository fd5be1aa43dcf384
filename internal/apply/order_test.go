package apply_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"prumo.dev/prumo/internal/apply"
	"prumo.dev/prumo/internal/core"
)

// refer makes specs of a rendering refer to others: "web -> db".
func refer(r core.Rendering, refs ...string) core.Rendering {
	for _, ref := range refs {
		from, to, _ := strings.Cut(ref, " -> ")
		i := slices.IndexFunc(r.Specs, func(s core.Spec) bool { return s.ID.Name == from })
		r.Specs[i].Refs = append(r.Specs[i].Refs, core.SpecID{Kind: "Test", Name: to})
	}
	return r
}

// written are the names of what requests of a method named, in their order.
func (w *world) written(method string) []string {
	var names []string
	for _, q := range w.sent() {
		if path, ok := strings.CutPrefix(q, method+" "); ok {
			names = append(names, path[strings.LastIndex(path, "/")+1:])
		}
	}
	return names
}

// Refs order objects of one kind, and against the order of kinds.
func TestOrderOfRefs(t *testing.T) {
	w := newWorld(t)
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: c, namespace: " + w.name + "}\nspec: {ports: [{port: 80}]}"
	r := refer(render(t, w.configMap("a", "x"), w.configMap("b", "x"), service, w.namespace()), "a -> b", "b -> c")
	plan := w.plan(t, r)
	w.sent()
	w.apply(t, plan)
	if diff := cmp.Diff([]string{w.name, "c", "b", "a"}, w.written("PATCH")); diff != "" {
		t.Errorf("order of application (-want +got)\n%s", diff)
	}
	w.before = r
	plan = w.plan(t, render(t, w.namespace()))
	w.sent()
	w.apply(t, plan)
	if diff := cmp.Diff([]string{"a", "b", "c"}, w.written("DELETE")); diff != "" {
		t.Errorf("order of deletion (-want +got)\n%s", diff)
	}
}

// A chain goes on while an unrelated object takes long: here for as long as the
// end of the chain is not reached.
func TestNobodyWaitsForStrangers(t *testing.T) {
	w := newWorld(t)
	w.put(t, render(t, w.namespace()))
	plan := w.plan(t, refer(render(t, w.namespace(), w.configMap("slow", "x"), w.configMap("after-slow", "x"),
		w.configMap("a", "x"), w.configMap("b", "x")), "after-slow -> slow", "b -> a"))
	reached := make(chan struct{})
	w.meddle = func(q *http.Request) *http.Response {
		switch {
		case q.Method == http.MethodPatch && strings.HasSuffix(q.URL.Path, "/b"):
			close(reached)
		case q.Method == http.MethodPatch && strings.HasSuffix(q.URL.Path, "/slow"):
			select {
			case <-reached:
			case <-time.After(time.Minute):
				t.Error("b was not applied while slow was under way")
			}
		}
		return nil
	}
	if n := w.apply(t, plan).Count(core.StatusDone); n != 4 {
		t.Errorf("%d done; want 4", n)
	}
}

// A pod must not run before the policy that fences it, whichever spec has that.
func TestFencesComeFirst(t *testing.T) {
	w := newWorld(t)
	policy := "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: zz, namespace: " + w.name + "}\nspec: {podSelector: {}}"
	quota := "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: yy, namespace: " + w.name + "}\nspec: {hard: {pods: 1}}"
	plan := w.plan(t, render(t, w.namespace(), w.deployment(), policy, quota))
	w.sent()
	w.apply(t, plan)
	written := w.written("PATCH")
	if len(written) != 4 || written[3] != "web" {
		t.Errorf("applied in the order %v; want web last", written)
	}
}

func TestCirclesDoNotHang(t *testing.T) {
	w := newWorld(t)
	r := refer(render(t, w.namespace(), w.configMap("a", "x"), w.configMap("b", "x"), w.configMap("c", "x")),
		"a -> b", "b -> c", "c -> a", "c -> c")
	if n := w.apply(t, w.plan(t, r)).Count(core.StatusDone); n != 4 {
		t.Errorf("%d of 4 done", n)
	}
}

// What depends on an object that is not applied waits and says for what, however
// long the way to it; the rest goes on.
func TestDependentsWait(t *testing.T) {
	tests := []struct {
		name   string
		spoil  func(*core.Change)
		reason string // of a; empty: it is applied
	}{
		{"nothing is wrong", func(*core.Change) {}, ""},
		{"failed", func(c *core.Change) { c.Manifest["data"] = "nonsense" }, "refused: "},
		{"blocked", func(c *core.Change) { c.Action, c.Reason = core.ActionBlocked, "no such luck" }, "no such luck"},
		{"held", func(c *core.Change) {
			c.Action, c.Wanted, c.Reason = core.ActionHold, core.ActionReplace, "replacing needs an approval"
		}, "replacing needs an approval"},
		{"not to be corrected", func(c *core.Change) { c.Mode = core.DriftReport }, ""},
		{"on its way out", func(c *core.Change) {
			c.Action, c.Manifest, c.Reason = core.ActionBlocked, nil, "is being deleted"
		}, ""},
		{"a machine that is away", func(c *core.Change) {
			c.ID.Kind, c.Action, c.Reason = "Node", core.ActionBlocked, "has not joined the cluster"
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.put(t, render(t, w.namespace(), w.configMap("between", "x")))
			plan := w.plan(t, refer(render(t, w.namespace(), w.configMap("a", "x"), w.configMap("b", "x"), w.configMap("between", "x"), w.configMap("other", "x")),
				"a -> between", "between -> b"))
			i := slices.IndexFunc(plan.Changes, func(c core.Change) bool { return c.ID.Name == "b" })
			tt.spoil(&plan.Changes[i])
			result := w.apply(t, plan)
			if o := outcome(t, result, "other"); o.Status != core.StatusDone {
				t.Errorf("other: %+v", o)
			}
			o := outcome(t, result, "a")
			if tt.reason == "" {
				if o.Status != core.StatusDone {
					t.Errorf("a: %+v; want it done", o)
				}
				return
			}
			want := fmt.Sprintf("waiting for Test/b (ConfigMap/%s/b: %s", w.name, tt.reason)
			if o.Status != core.StatusBlocked || !strings.HasPrefix(o.Reason, want) || live(t, w.maps(), "a") != nil {
				t.Errorf("a: %+v; want blocked: %s", o, want)
			}
		})
	}
}

// makeReady says of the Deployment web what a controller would.
func (w *world) makeReady(t *testing.T) {
	t.Helper()
	status := `{"status":{"observedGeneration":1,"replicas":1,"updatedReplicas":1,"readyReplicas":1,"availableReplicas":1,"conditions":[{"type":"Available","status":"True"},{"type":"Progressing","status":"True","reason":"NewReplicaSetAvailable"}]}}`
	deployments := w.people.Resource(gvr("apps", "deployments")).Namespace(w.name)
	if _, err := deployments.Patch(t.Context(), "web", types.MergePatchType, []byte(status), metav1.PatchOptions{}, "status"); err != nil {
		t.Error(err)
	}
}

// With Gate, a dependent waits until what it needs is ready, plan after plan, and
// a pass does not wait with it.
func TestGate(t *testing.T) {
	w := newWorld(t)
	w.put(t, render(t, w.namespace()))
	r := refer(render(t, w.namespace(), w.deployment(), w.configMap("a", "x"), w.configMap("other", "x")), "a -> web")
	gate := apply.Options{Gate: true}
	for _, pass := range []string{"first", "second, which does not change web"} {
		o := outcome(t, w.apply(t, w.plan(t, r), gate), "a")
		if want := "waiting for Test/web (Deployment.apps/" + w.name + "/web: not ready: "; o.Status != core.StatusBlocked || !strings.HasPrefix(o.Reason, want) {
			t.Fatalf("%s: %+v; want blocked: %s", pass, o, want)
		}
	}
	w.makeReady(t)
	if o := outcome(t, w.apply(t, w.plan(t, r), gate), "a"); o.Status != core.StatusDone {
		t.Errorf("web is ready: %+v", o)
	}
}

func TestGateThatWaits(t *testing.T) {
	w := newWorld(t)
	plan := w.plan(t, refer(render(t, w.namespace(), w.deployment(), w.configMap("a", "x")), "a -> web"))
	w.meddle = before("GET", func() { w.makeReady(t) })
	if o := outcome(t, w.apply(t, plan, apply.Options{Gate: true, Wait: time.Minute}), "a"); o.Status != core.StatusDone {
		t.Errorf("%+v", o)
	}
}

func TestWithoutGateNobodyWaits(t *testing.T) {
	w := newWorld(t)
	plan := w.plan(t, refer(render(t, w.namespace(), w.deployment(), w.configMap("a", "x")), "a -> web"))
	if o := outcome(t, w.apply(t, plan), "a"); o.Status != core.StatusDone {
		t.Errorf("%+v", o)
	}
}
