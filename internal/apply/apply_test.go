package apply_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"prumo.dev/prumo/internal/apply"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/test/cluster/clustertest"
)

func TestCreateUpdateUnchanged(t *testing.T) {
	w := newWorld(t)
	r := render(t, w.configMap("a", "one"), w.configMap("b", "one"), w.namespace())
	result := w.apply(t, w.plan(t, r))
	want := []string{"create ConfigMap/a done", "create ConfigMap/b done", "create Namespace/" + w.name + " done"}
	if diff := cmp.Diff(want, told(result)); diff != "" {
		t.Errorf("first (-want +got)\n%s", diff)
	}
	if plan := w.plan(t, r); !plan.Empty() || plan.Unchanged != 3 {
		t.Errorf("applied, and yet planned again: %+v", plan.Changes)
	}
	r = render(t, w.configMap("a", "two"), w.configMap("b", "one"), w.namespace())
	if diff := cmp.Diff([]string{"update ConfigMap/a done"}, told(w.apply(t, w.plan(t, r)))); diff != "" {
		t.Errorf("second (-want +got)\n%s", diff)
	}
	if v := at(live(t, w.maps(), "a"), "data", "key"); v != "two" {
		t.Errorf("live value %v", v)
	}
}

func TestRequestsPerObject(t *testing.T) {
	w := newWorld(t)
	documents := []string{w.namespace()}
	for i := range 200 {
		documents = append(documents, w.configMap(fmt.Sprintf("c-%03d", i), "x"))
	}
	r := render(t, documents...)
	plan := w.plan(t, r)
	observing := len(w.sent())
	w.apply(t, plan)
	applying := len(w.sent())
	t.Logf("first apply of 201 objects: %d requests to observe, %d to apply", observing, applying)
	if applying != 201 {
		t.Errorf("%d requests to apply 201 objects", applying)
	}
	if observing > 100 { // nothing is asked of what is in a namespace that is not there
		t.Errorf("%d requests to observe a namespace that is not there", observing)
	}
	w.apply(t, w.plan(t, r))
	t.Logf("second pass, nothing changed: %d requests", len(w.sent()))
}

func TestDefinitionAndItsObjectsInOnePlan(t *testing.T) {
	w := newWorld(t)
	crd := `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: lamps.apply.example}
spec: {group: apply.example, scope: Namespaced, names: {kind: Lamp, plural: lamps}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {on: {type: boolean}}}}}}}]}`
	lamp := "apiVersion: apply.example/v1\nkind: Lamp\nmetadata: {name: desk, namespace: " + w.name + "}\nspec: {on: true}"
	result := w.apply(t, w.plan(t, render(t, lamp, crd, w.namespace())))
	want := []string{"create CustomResourceDefinition/lamps.apply.example done", "create Lamp/desk done", "create Namespace/" + w.name + " done"}
	if diff := cmp.Diff(want, told(result)); diff != "" {
		t.Errorf("(-want +got)\n%s\n%+v", diff, result.Outcomes)
	}
}

// What somebody made since the plan must never carry a mark that says "created", not
// even for a moment: a process that is killed then would leave it to be deleted.
func TestWhatSomeoneCreatedBetweenIsAdopted(t *testing.T) {
	w := newWorld(t)
	w.put(t, render(t, w.namespace()))
	r := render(t, w.namespace(), w.configMap("a", "x"))
	plan := w.plan(t, r)
	u := &unstructured.Unstructured{Object: object(t, w.configMap("a", "x")).Fields}
	made, err := w.maps().Create(t.Context(), u, metav1.CreateOptions{FieldManager: "kubectl-create"})
	if err != nil {
		t.Fatal(err)
	}
	if o := outcome(t, w.apply(t, plan), "a"); o.Status != core.StatusFailed || !strings.Contains(o.Reason, "planned again in the next pass") {
		t.Errorf("%+v", o)
	}
	if version := at(live(t, w.maps(), "a"), "metadata", "resourceVersion"); version != made.GetResourceVersion() {
		t.Errorf("it was written to")
	}
	plan = w.plan(t, r)
	if plan.Count(core.ActionAdopt) != 1 {
		t.Errorf("not planned to be adopted: %+v", plan.Changes)
	}
	w.apply(t, plan)
	if origin := at(live(t, w.maps(), "a"), "metadata", "annotations", core.AnnotationOrigin); origin != core.OriginAdopted {
		t.Errorf("origin %v: an object that we did not create could be deleted", origin)
	}
}

func TestEditsAreTakenBackAndDisputesAreNot(t *testing.T) {
	w := newWorld(t)
	r := render(t, w.namespace(), w.configMap("edited", "ours"), w.configMap("disputed", "ours"))
	w.put(t, r)
	patch(t, w.maps(), "edited", `{"data":{"key":"theirs"}}`)
	theirs := &unstructured.Unstructured{Object: object(t, w.configMap("disputed", "theirs")).Fields}
	if _, err := w.maps().Apply(t.Context(), "disputed", theirs, metav1.ApplyOptions{FieldManager: "terraform", Force: true}); err != nil {
		t.Fatal(err)
	}
	plan := w.plan(t, r)
	want := []string{"blocked ConfigMap/disputed blocked", "update ConfigMap/edited done"}
	if diff := cmp.Diff(want, told(w.apply(t, plan))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if v := at(live(t, w.maps(), "edited"), "data", "key"); v != "ours" {
		t.Errorf("the edit stays: %v", v)
	}

	// A plan that updates without force must not take what others own.
	for i := range plan.Changes {
		plan.Changes[i].Action, plan.Changes[i].Force = core.ActionUpdate, false
	}
	o := outcome(t, w.apply(t, plan), "disputed")
	if o.Status != core.StatusFailed || !strings.Contains(o.Reason, "owned by others: .data.key by terraform") {
		t.Errorf("unforced: %+v", o)
	}
	if v := at(live(t, w.maps(), "disputed"), "data", "key"); v != "theirs" {
		t.Errorf("an unforced update took the field: %v", v)
	}
}

func TestForceIsBoundToWhatWasSeen(t *testing.T) {
	w := newWorld(t)
	r := render(t, w.namespace(), w.configMap("a", "ours"))
	w.put(t, r)
	patch(t, w.maps(), "a", `{"data":{"key":"theirs"}}`)
	plan := w.plan(t, r)
	patch(t, w.maps(), "a", `{"data":{"key":"theirs, again"}}`)
	o := outcome(t, w.apply(t, plan), "a")
	if want := "changed since the plan was made; it is planned again in the next pass"; o.Status != core.StatusFailed || o.Reason != want {
		t.Errorf("%+v; want failed, %s", o, want)
	}
	if v := at(live(t, w.maps(), "a"), "data", "key"); v != "theirs, again" {
		t.Errorf("a change that no plan showed was taken back: %v", v)
	}
}

// An update must not write to another object that got the same name.
func TestUpdateOfAnObjectMadeAnew(t *testing.T) {
	w := newWorld(t)
	w.put(t, render(t, w.namespace(), w.configMap("a", "one")))
	plan := w.plan(t, render(t, w.namespace(), w.configMap("a", "two")))
	if err := w.maps().Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{Object: object(t, w.configMap("a", "x")).Fields}
	u.Object["data"] = map[string]any{"theirs": "x"} // no conflict stops us
	if _, err := w.maps().Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if o := outcome(t, w.apply(t, plan), "a"); o.Status != core.StatusFailed || !strings.Contains(o.Reason, "changed since") {
		t.Errorf("%+v", o)
	}
	if v := at(live(t, w.maps(), "a"), "data", "key"); v != nil {
		t.Errorf("we wrote %v into an object that is not the one planned", v)
	}
}

// Each bad object has its own reason, and hides no good one.
func TestPartialFailure(t *testing.T) {
	w := newWorld(t)
	w.put(t, render(t, w.namespace(), w.configMap("old", "x")))
	ns := w.name
	r := render(t, w.namespace(), w.configMap("good", "x"),
		"apiVersion: kueue.x-k8s.io/v1beta2\nkind: ClusterQueue\nmetadata: {name: unserved}",
		"apiVersion: v1\nkind: Service\nmetadata: {name: invalid, namespace: "+ns+"}\nspec: {ports: [{port: 80}]}",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: secret, namespace: "+ns+"}\nstringData: {key: hunter2}")
	plan := w.plan(t, r)
	for i := range plan.Changes { // become bad after the plan was made
		switch c := &plan.Changes[i]; c.ID.Name {
		case "invalid":
			c.Manifest["spec"] = map[string]any{"ports": []any{map[string]any{"port": int64(99999)}}}
		case "secret":
			c.Manifest["data"] = map[string]any{"key": "hunter2!"}
		}
	}
	result := w.apply(t, plan)
	want := []string{
		"blocked ClusterQueue/unserved blocked", "create ConfigMap/good done", "create Secret/secret failed",
		"create Service/invalid failed", "delete ConfigMap/old blocked",
	}
	if diff := cmp.Diff(want, told(result)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for name, part := range map[string]string{
		"unserved": "does not serve", "invalid": "spec.ports[0].port (Invalid)", "secret": "refused: ", "old": "not deleted while",
	} {
		if o := outcome(t, result, name); !strings.Contains(o.Reason, part) || strings.Contains(o.Reason+o.ServerSays, "hunter2") {
			t.Errorf("%s: %q; want it to say %q, and no secret", name, o.Reason, part)
		}
	}
	if live(t, w.maps(), "old") == nil {
		t.Error("deleted while something could not be applied")
	}
}

func TestForbidden(t *testing.T) {
	w := newWorld(t)
	r := render(t, w.namespace(), w.configMap("a", "x"))
	w.put(t, render(t, w.namespace()))
	plan := w.plan(t, r)
	cfg := clustertest.Shared(t).Config()
	cfg.Impersonate = rest.ImpersonationConfig{UserName: "nobody-special"}
	result, err := apply.New(w.as(t, cfg), apply.Options{}).Apply(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	o := outcome(t, result, "a")
	for _, part := range []string{"forbidden", `"nobody-special"`, "cannot patch", `"configmaps"`, w.name} {
		if !strings.Contains(o.Reason, part) {
			t.Errorf("%q; want it to say %s", o.Reason, part)
		}
	}
}

func TestNothingIsDoneThatWaits(t *testing.T) {
	w := newWorld(t)
	names := []string{"held", "blocked", "observed", "reported", "ignored"}
	documents := []string{w.namespace()}
	for _, n := range names {
		documents = append(documents, w.configMap(n, "x"))
	}
	w.put(t, render(t, w.namespace()))
	plan := w.plan(t, render(t, documents...))
	for i := range plan.Changes {
		switch c := &plan.Changes[i]; c.ID.Name {
		case "held":
			c.Action, c.Wanted = core.ActionHold, core.ActionCreate
		case "blocked":
			c.Action = core.ActionBlocked
		case "observed":
			c.Action = core.ActionObserve
		case "reported":
			c.Mode = core.DriftReport
		case "ignored":
			c.Mode = core.DriftIgnore
		}
	}
	result := w.apply(t, plan)
	want := []string{"blocked ConfigMap/blocked blocked", "create ConfigMap/held held", "create ConfigMap/ignored skipped", "create ConfigMap/reported skipped", "observe ConfigMap/observed skipped"}
	if diff := cmp.Diff(want, told(result)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, o := range result.Outcomes {
		if o.Reason == "" {
			t.Errorf("%s: no reason", o.ID)
		}
		if live(t, w.maps(), o.ID.Name) != nil {
			t.Errorf("%s was created", o.ID)
		}
	}
}

func TestObjectsOfANamespaceThatIsNotCreated(t *testing.T) {
	w := newWorld(t)
	plan := w.plan(t, render(t, w.namespace(), w.configMap("a", "x"), "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: "+w.name+"-class}\nvalue: 1"))
	for i := range plan.Changes {
		if c := &plan.Changes[i]; c.ID.Kind == "Namespace" {
			c.Manifest["spec"] = map[string]any{"nonsense": "x"}
		}
	}
	result := w.apply(t, plan)
	want := []string{"create ConfigMap/a blocked", "create Namespace/" + w.name + " failed", "create PriorityClass/" + w.name + "-class done"}
	if diff := cmp.Diff(want, told(result)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if o := outcome(t, result, "a"); !strings.Contains(o.Reason, "Namespace/"+w.name+" was not created: ") {
		t.Errorf("reason %q", o.Reason)
	}
}

func TestOverloadPasses(t *testing.T) {
	w := newWorld(t)
	r := render(t, w.namespace(), w.configMap("a", "x"))
	plan := w.plan(t, r)
	var n atomic.Int32
	w.meddle = func(q *http.Request) *http.Response {
		if q.Method != http.MethodPatch || n.Add(1) > 2 {
			return nil
		}
		return answer(q, http.StatusServiceUnavailable, "ServiceUnavailable")
	}
	if got := w.apply(t, plan).Count(core.StatusDone); got != 2 {
		t.Errorf("%d of 2 done: two answers of 503 were not outlived", got)
	}
}

func answer(q *http.Request, code int, reason string) *http.Response {
	body := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`, reason, code)
	return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: q}
}

// A server that refuses our credentials ends the pass: there is no use in
// failing ten thousand times.
func TestFaultEndsThePass(t *testing.T) {
	w := newWorld(t)
	plan := w.plan(t, render(t, w.namespace(), w.configMap("a", "x"), w.configMap("b", "x")))
	w.meddle = func(q *http.Request) *http.Response {
		if strings.HasSuffix(q.URL.Path, "/configmaps/a") || strings.HasSuffix(q.URL.Path, "/configmaps/b") {
			return answer(q, http.StatusUnauthorized, "Unauthorized")
		}
		return nil
	}
	result, err := apply.New(w.cluster, apply.Options{}).Apply(t.Context(), plan)
	if err == nil || !strings.Contains(err.Error(), "does not accept our credentials") {
		t.Errorf("error %v", err)
	}
	if outcome(t, result, w.name).Status != core.StatusDone || result.Count(core.StatusDone) != 1 || result.Count(core.StatusFailed) == 0 {
		t.Errorf("outcomes: %+v", result.Outcomes)
	}
}

func TestCancelled(t *testing.T) {
	w := newWorld(t)
	plan := w.plan(t, render(t, w.namespace(), w.configMap("a", "x"), w.configMap("b", "x")))
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("told to stop")
	w.meddle = func(q *http.Request) *http.Response {
		if strings.Contains(q.URL.Path, "/configmaps/") {
			cancel(stop)
		}
		return nil
	}
	result, err := apply.New(w.cluster, apply.Options{Wait: time.Hour}).Apply(ctx, plan)
	if !errors.Is(err, stop) {
		t.Errorf("error %v; want %v", err, stop)
	}
	want := []string{"create ConfigMap/a skipped", "create ConfigMap/b skipped", "create Namespace/" + w.name + " done"}
	if diff := cmp.Diff(want, told(result)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
