package chaos

import (
	"fmt"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"prumo.dev/prumo/internal/core"
)

// A wish is what the repo says of a slot.
type wish struct {
	value int
	mode  core.DriftMode
	take  bool
}

// A slot is a name that the repo, people or both may give to an object, and what
// the model knows of it.
type slot struct {
	name string
	text func(name, namespace string, value int) string // of the object

	want    *wish     // nil: the repo does not say it
	broken  bool      // its spec has a problem
	touched bool      // people have changed it since the repo last did
	meddled bool      // people have changed it at some time
	lost    bool      // people took our mark off it
	held    []holding // what others hold of it
}

// A holding is what one of the others has written to an object. It is taken only if the
// spec says so, but for what somebody edited of an object of ours: that is drift.
type holding struct {
	fields   map[string]any
	declared bool // by another tool, or an autoscaler
}

const valued = "metadata: {name: %s, namespace: %s, annotations: {value: 'v%d'}}\n"

// slots are the names of one run. Each kind is there for a reason of its own.
func slots() []*slot {
	simple := func(head, tail string) func(string, string, int) string {
		return func(name, namespace string, value int) string {
			return head + fmt.Sprintf(valued, name, namespace, value) + tail
		}
	}
	config := simple("apiVersion: v1\nkind: ConfigMap\n", "data: {key: same}")
	return []*slot{
		{name: "a", text: config}, {name: "b", text: config}, {name: "c", text: config}, {name: "d", text: config},
		{name: "secret", text: simple("apiVersion: v1\nkind: Secret\n", "stringData: {password: hunter2}")},
		{name: "account", text: simple("apiVersion: v1\nkind: ServiceAccount\n", "")},
		{name: "quota", text: simple("apiVersion: v1\nkind: ResourceQuota\n", "spec: {hard: {pods: '1'}}")},
		{name: claim, text: simple("apiVersion: v1\nkind: PersistentVolumeClaim\n", "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}")},
		{name: frozen, text: func(name, namespace string, value int) string {
			return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\nimmutable: true\ndata: {value: 'v%d'}", name, namespace, value)
		}},
		{name: scaled, text: func(name, namespace string, value int) string {
			return fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\n"+valued+"spec: {replicas: %d, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}", name, namespace, value, 1+value)
		}},
		{name: class, text: func(_, namespace string, value int) string {
			return fmt.Sprintf("apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: %s, annotations: {value: 'v%d'}}\nvalue: 7", namespace, value)
		}},
		{name: node, text: func(_, namespace string, value int) string {
			return fmt.Sprintf("apiVersion: v1\nkind: Node\nmetadata: {name: %s, annotations: {value: 'v%d'}}\nspec: {taints: [{key: ours-%d, effect: NoSchedule}]}", namespace, value, value)
		}},
	}
}

// Slots that are special.
const (
	claim  = "claim"  // protected: nothing deletes it without an approval
	frozen = "frozen" // immutable: a change replaces it
	scaled = "scaled" // has the subresource scale
	class  = "class"  // lies in no namespace
	node   = "node"   // never created, never deleted, taints merged
)

// object is what a slot is wanted to be.
func (s *slot) object(namespace string, value int) core.Object {
	o := object(s.text(s.name, namespace, value))
	o.Spec = core.SpecID{Kind: "Slot", Name: s.name}
	return o
}

// stored is what the server must have of a wanted object, but for what it writes in
// another way than it is told: text that it encodes.
func stored(o core.Object) core.Object {
	o.Fields = maps.Clone(o.Fields)
	delete(o.Fields, "stringData")
	return o
}

// valueOf is a part of an object that has a value.
func valueOf(value string) map[string]any {
	return map[string]any{"metadata": map[string]any{"annotations": map[string]any{"value": value}}}
}

// path is how requests for an object end.
func (s *slot) path(namespace string) string {
	o := s.object(namespace, 0)
	p := "/" + resources[o.ID.Kind] + "/" + o.ID.Name
	if o.ID.Namespace != "" {
		p = "/namespaces/" + o.ID.Namespace + p
	}
	return p
}

// at finds the slot of a request.
func at(all []*slot, namespace, path string) *slot {
	for _, s := range all {
		if strings.HasSuffix(path, s.path(namespace)) {
			return s
		}
	}
	return nil
}

func unstructuredSlice(u *unstructured.Unstructured, fields ...string) ([]any, bool, error) {
	return unstructured.NestedSlice(u.Object, fields...)
}
