package cluster

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	smdvalue "sigs.k8s.io/structured-merge-diff/v6/value"

	"prumo.dev/prumo/internal/core"
)

// A digest is a hash of what matters to us of an object.
type digest [sha256.Size]byte

// digestOf hashes what of a live object a manifest depends on and may change: its
// uid, whether it is being deleted, our marks, which fields are ours and what is
// in them; of a Node, all taints. While it stays the same, others may write what
// they like beside it.
func digestOf(live map[string]any) digest {
	h := sha256.New()
	enc := json.NewEncoder(h) // map keys are sorted, each value ends in a line break
	u := &unstructured.Unstructured{Object: live}
	notes := u.GetAnnotations()
	say(enc, u.GetUID(), u.GetDeletionTimestamp() != nil, u.GetLabels()[core.LabelOwner],
		notes[core.AnnotationID], notes[core.AnnotationSpec], notes[core.AnnotationOrigin], notes[core.AnnotationTaints])
	for _, e := range u.GetManagedFields() {
		if e.Manager == core.FieldManager && e.Subresource == "" {
			say(enc, e.Operation, e.APIVersion, string(rawFields(e)))
			project(enc, owned(e), live)
		}
	}
	if isNode(live) {
		say(enc, taintsOf(live))
	}
	return digest(h.Sum(nil))
}

// statedDigest hashes what an object that nobody of us writes says of itself, but
// for what says only that it is alive.
func statedDigest(live map[string]any) digest {
	m := settled(live)
	status, _ := live["status"].(map[string]any)
	status = maps.Clone(status)
	delete(status, "conditions")
	h := sha256.New()
	say(json.NewEncoder(h), m, status)
	return digest(h.Sum(nil))
}

// fieldsDigest hashes what a spec wants of an object.
func fieldsDigest(o core.Object) digest {
	h := sha256.New()
	say(json.NewEncoder(h), o.Spec.String(), o.Fields, o.Ignore)
	return digest(h.Sum(nil))
}

func say(enc *json.Encoder, values ...any) {
	if err := enc.Encode(values); err != nil {
		// Not JSON (a NaN): still told apart from all else.
		_ = enc.Encode(fmt.Sprintf("%#v", values))
	}
}

func rawFields(e metav1.ManagedFieldsEntry) []byte {
	if e.FieldsV1 == nil {
		return nil
	}
	return e.FieldsV1.GetRawBytes()
}

// project writes the values that a set of fields has in an object. The set is
// visited by Iterate: its range function panics at a return.
func project(enc *json.Encoder, set *fieldpath.Set, v any) {
	set.Members.Iterate(func(pe fieldpath.PathElement) {
		if _, detailed := set.Children.Get(pe); !detailed {
			x, i := step(v, pe)
			say(enc, pe.String(), i, x)
		}
	})
	set.Children.Iterate(func(pe fieldpath.PathElement) {
		child, _ := set.Children.Get(pe)
		x, i := step(v, pe)
		say(enc, pe.String(), i)
		project(enc, child, x)
	})
}

// step is one step down an object, and the index if it is a step into a list
// (order matters to containers and variables); -1 if there is nothing.
func step(v any, pe fieldpath.PathElement) (any, int) {
	if pe.FieldName != nil {
		m, _ := v.(map[string]any)
		if x, ok := m[*pe.FieldName]; ok {
			return x, 0
		}
		return nil, -1
	}
	list, _ := v.([]any)
	for i, item := range list {
		if pe.Index != nil && *pe.Index == i ||
			pe.Key != nil && hasKey(item, *pe.Key) ||
			pe.Value != nil && fmt.Sprint((*pe.Value).Unstructured()) == fmt.Sprint(item) {
			return item, i
		}
	}
	return nil, -1
}

func hasKey(item any, key smdvalue.FieldList) bool {
	m, _ := item.(map[string]any)
	for _, k := range key {
		if fmt.Sprint(m[k.Name]) != fmt.Sprint(k.Value.Unstructured()) {
			return false
		}
	}
	return m != nil
}

// inSync reports whether a dry-run shows that an object is as it should be, and
// that every field which says so is ours: then its digest tells whether it still
// is.
func inSync(o core.Observed) bool {
	if !o.Ours || o.Predicted == nil || len(o.Conflicts) > 0 || len(o.GiveUp) > 0 {
		return false
	}
	return digestOf(o.Live) == digestOf(o.Predicted) && reflect.DeepEqual(settled(o.Live), settled(o.Predicted))
}

// settled is an object without what the server writes at every change.
func settled(m map[string]any) map[string]any {
	m = maps.Clone(m)
	delete(m, "status")
	meta, _ := m["metadata"].(map[string]any)
	kept := make(map[string]any, len(meta))
	for k, v := range meta {
		if k != "managedFields" && k != "resourceVersion" && k != "generation" {
			kept[k] = v
		}
	}
	m["metadata"] = kept
	return m
}

func versionOf(m map[string]any) string {
	return (&unstructured.Unstructured{Object: m}).GetResourceVersion()
}
