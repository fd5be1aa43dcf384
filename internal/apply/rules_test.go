package apply_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"prumo.dev/prumo/internal/apply"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

func path(t *testing.T, s string) objpath.Path {
	t.Helper()
	p, err := objpath.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const queues = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: queues.ready.example}
spec:
  group: ready.example
  scope: Namespaced
  names: {kind: Queue, plural: queues}
  versions:
  - {name: v1, served: true, storage: true, subresources: {status: {}}, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}`

// What kstatus takes for ready is not, until the rules of its kind are met.
func TestRulesOfReadiness(t *testing.T) {
	w := newWorld(t)
	w.put(t, render(t, queues, w.namespace()))
	queue := "apiVersion: ready.example/v1\nkind: Queue\nmetadata: {name: q, namespace: " + w.name + "}"
	tests := []struct {
		name   string
		rule   core.Ready
		status string
		want   string // empty: ready
	}{
		{"a condition that is not there", core.Ready{Path: path(t, ".status.conditions[type=Active].status"), Equals: "True"}, `{}`,
			".status.conditions[type=Active].status is not there, wanted True"},
		{"a condition that is not so", core.Ready{Path: path(t, ".status.conditions[type=Active].status"), Equals: "True", Message: "stopped"},
			`{"conditions":[{"type":"Other","status":"True"},{"type":"Active","status":"False"}]}`,
			`stopped: .status.conditions[type=Active].status is "False", wanted True`},
		{"a condition that is so", core.Ready{Path: path(t, ".status.conditions[type=Active].status"), Equals: "True"},
			`{"conditions":[{"type":"Active","status":"True"}]}`, ""},
		{"a field that is not there", core.Ready{Path: path(t, ".status.url")}, `{"url":null}`, ".status.url is not there"},
		{"a field that is there", core.Ready{Path: path(t, ".status.url")}, `{"url":"http://q"}`, ""},
		{"a number", core.Ready{Path: path(t, ".status.pending"), Equals: int64(0)}, `{"pending":0}`, ""},
		{"another number", core.Ready{Path: path(t, ".status.pending"), Equals: int64(0)}, `{"pending":3}`, `.status.pending is "3", wanted 0`},
		{"a number, and a string is wanted", core.Ready{Path: path(t, ".status.pending"), Equals: "0"}, `{"pending":0}`, `.status.pending is "0", wanted 0`},
		{"a float that is a whole number", core.Ready{Path: path(t, ".status.pending"), Equals: float64(1)}, `{"pending":1}`, ""},
		{"a flag", core.Ready{Path: path(t, ".status.ok"), Equals: true}, `{"ok":true}`, ""},
	}
	r := refer(render(t, queues, w.namespace(), queue, w.configMap("a", "x")), "a -> q")
	all := w.people.Resource(gvr("ready.example", "queues")).Namespace(w.name)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r.Objects[2].Ready = []core.Ready{tt.rule}
			w.apply(t, w.plan(t, render(t, queues, w.namespace(), queue)))
			if _, err := all.Patch(t.Context(), "q", types.JSONPatchType, []byte(`[{"op":"add","path":"/status","value":`+tt.status+`}]`), metav1.PatchOptions{}, "status"); err != nil {
				t.Fatal(err)
			}
			o := outcome(t, w.apply(t, w.plan(t, r), apply.Options{Gate: true}), "a")
			got, _ := strings.CutPrefix(strings.TrimSuffix(o.Reason, ")"), "waiting for Test/q (Queue.ready.example/"+w.name+"/q: not ready: ")
			if diff := cmp.Diff(tt.want, got); diff != "" || (o.Status == core.StatusDone) != (tt.want == "") {
				t.Errorf("%s (-want +got)\n%s", o.Status, diff)
			}
			if err := w.maps().Delete(t.Context(), "a", metav1.DeleteOptions{}); tt.want == "" && err != nil {
				t.Error(err)
			}
		})
	}
}

// A rule about a Secret does not say what is in it.
func TestRulesDoNotTellSecrets(t *testing.T) {
	w := newWorld(t)
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: " + w.name + "}"
	w.put(t, render(t, w.namespace(), secret))
	body := []byte(`{"stringData":{"key":"hunter2"}}`)
	if _, err := w.people.Resource(gvr("", "secrets")).Namespace(w.name).Patch(t.Context(), "s", types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	r := refer(render(t, w.namespace(), secret, w.configMap("a", "x")), "a -> s")
	r.Objects[1].Ready = []core.Ready{{Path: path(t, ".data.key"), Equals: "other"}}
	o := outcome(t, w.apply(t, w.plan(t, r), apply.Options{Gate: true}), "a")
	if o.Status != core.StatusBlocked || !strings.HasSuffix(o.Reason, "not ready: .data.key is not other)") {
		t.Errorf("%+v", o)
	}
}
