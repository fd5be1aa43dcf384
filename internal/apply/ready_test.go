package apply_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"prumo.dev/prumo/internal/apply"
	"prumo.dev/prumo/internal/core"
)

func (w *world) deployment() string {
	return `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: ` + w.name + `}
spec: {replicas: 1, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: example.org/web}]}}}`
}

// Nothing runs pods here: the Deployment becomes ready when the test says so.
func TestReadiness(t *testing.T) {
	w := newWorld(t)
	w.put(t, render(t, w.namespace(), w.configMap("old", "x")))
	plan := w.plan(t, render(t, w.namespace(), w.deployment()))

	result := w.apply(t, plan, apply.Options{Wait: 200 * time.Millisecond, Gate: true})
	if len(result.NotReady) != 1 || result.NotReady[0].ID.Name != "web" || result.NotReady[0].Reason == "" {
		t.Fatalf("not ready: %+v", result.NotReady)
	}
	if o := outcome(t, result, "old"); o.Status != core.StatusBlocked || !strings.Contains(o.Reason, "Deployment.apps/"+w.name+"/web is not ready") {
		t.Errorf("prune: %+v; want it to wait", o)
	}

	plan = w.plan(t, render(t, w.namespace(), strings.Replace(w.deployment(), "example.org/web", "example.org/web:2", 1)))
	w.meddle = before("GET", func() {
		status := `{"status":{"observedGeneration":2,"replicas":1,"updatedReplicas":1,"readyReplicas":1,"availableReplicas":1,"conditions":[{"type":"Available","status":"True"},{"type":"Progressing","status":"True","reason":"NewReplicaSetAvailable"}]}}`
		deployments := w.people.Resource(gvr("apps", "deployments")).Namespace(w.name)
		if _, err := deployments.Patch(t.Context(), "web", types.MergePatchType, []byte(status), metav1.PatchOptions{}, "status"); err != nil {
			t.Error(err)
		}
	})
	result = w.apply(t, plan, apply.Options{Wait: time.Minute, Gate: true})
	if len(result.NotReady) != 0 || outcome(t, result, "old").Status != core.StatusDone {
		t.Errorf("%+v, not ready %+v; want all done", result.Outcomes, result.NotReady)
	}
}

func TestWithoutWaitNothingIsAsked(t *testing.T) {
	w := newWorld(t)
	plan := w.plan(t, render(t, w.namespace(), w.deployment()))
	w.sent()
	result := w.apply(t, plan)
	if n := len(w.sent()); n != 2 {
		t.Errorf("%d requests; want 2", n)
	}
	if len(result.NotReady) != 1 {
		t.Errorf("not ready: %+v; want the Deployment", result.NotReady)
	}
}
