package cluster

import (
	"fmt"

	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"prumo.dev/prumo/internal/core"
)

// agrees reports whether applying a manifest would surely leave a live object of
// ours as it is: the server remembers that we applied exactly the fields of the
// manifest, and each has the value that the manifest says. Then there is nothing to
// merge, to take, or to give up. What was put in by defaults and by others lies
// beside our fields. Where in doubt it is false, and the server is asked.
//
// It does not tell what admission would do that has changed since we applied.
func agrees(manifest, live map[string]any) bool {
	if (&unstructured.Unstructured{Object: live}).GetDeletionTimestamp() != nil {
		return false
	}
	set := appliedBy(manifest, live)
	if set == nil {
		return false
	}
	if isNode(manifest) {
		rest, taints := splitNode(manifest)
		if !sameTaints(live, merged(live, taints)) {
			return false
		}
		manifest = rest
	}
	a := agreement{quantities: measured[idOf(manifest).Group]}
	return a.maps(set, withoutIdentity(manifest), live, "")
}

// appliedBy is the set of fields that we applied last to a live object; nil if that
// is not the whole of what is known of us: another version of the API, or fields
// that an admission webhook wrote in our name. A Node's taints are patched.
func appliedBy(manifest, live map[string]any) *fieldpath.Set {
	var set *fieldpath.Set
	for _, e := range (&unstructured.Unstructured{Object: live}).GetManagedFields() {
		switch {
		case e.Manager != core.FieldManager:
		case e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == "" && e.APIVersion == manifest["apiVersion"]:
			set = owned(e)
		case e.Operation == metav1.ManagedFieldsOperationUpdate && e.Subresource == "" && isNode(live):
		default:
			return nil
		}
	}
	return set
}

// withoutIdentity is a manifest without the fields that no manager owns.
func withoutIdentity(manifest map[string]any) map[string]any {
	fields, meta := map[string]any{}, map[string]any{}
	for k, v := range manifest {
		if k != "apiVersion" && k != "kind" && k != "metadata" {
			fields[k] = v
		}
	}
	old, _ := manifest["metadata"].(map[string]any)
	for k, v := range old {
		if k != "name" && k != "namespace" && k != "uid" {
			meta[k] = v
		}
	}
	fields["metadata"] = meta
	return fields
}

// An agreement compares a manifest with a live object, along a set of fields.
type agreement struct {
	quantities bool // of a kind whose fields we know
}

// maps compares two objects, or maps within them, that have the name parent.
func (a agreement) maps(set *fieldpath.Set, want, live map[string]any, parent string) bool {
	listed := 0
	for name, v := range want {
		pe := fieldpath.PathElement{FieldName: &name}
		l, exists := live[name]
		inner, detailed := set.Children.Get(pe)
		switch {
		case !exists && !((v == "" || isEmpty(v)) && set.Members.Has(pe)):
			return false
		case !exists: // the server keeps an empty value as none; were it removed, it would not be ours
		case detailed && !a.values(inner, v, l, name):
			return false
		case !detailed && (!set.Members.Has(pe) || !a.equal(v, l, parent, name)):
			return false
		}
		listed++
	}
	return listed == elements(set) // else we would give something up
}

// values compares what is owned field by field.
func (a agreement) values(set *fieldpath.Set, want, live any, name string) bool {
	switch want := want.(type) {
	case map[string]any:
		live, ok := live.(map[string]any)
		return ok && a.maps(set, want, live, name)
	case []any:
		live, ok := live.([]any)
		return ok && a.lists(set, want, live)
	}
	return false
}

// lists compares lists whose items are told apart by keys or by value. Others'
// items among ours are a doubt: what the order would be is for the server to say. An
// item is held against the one at its place, all fields of its key that it says
// included; those that it leaves out are defaults, or they would be in the set.
func (a agreement) lists(set *fieldpath.Set, want, live []any) bool {
	if len(want) != len(live) || len(want) != elements(set) {
		return false
	}
	agree, seen := true, 0
	item := func(pe fieldpath.PathElement) {
		_, i := step(live, pe)
		if i < 0 || !agree {
			agree = false
			return
		}
		seen++
		inner, detailed := set.Children.Get(pe)
		switch {
		case detailed:
			agree = a.values(inner, want[i], live[i], "")
		default:
			agree = a.equal(want[i], live[i], "", "")
		}
	}
	// Not ranges: the sets' range functions panic at a return.
	set.Children.Iterate(item)
	set.Members.Iterate(func(pe fieldpath.PathElement) {
		if _, detailed := set.Children.Get(pe); !detailed {
			item(pe)
		}
	})
	return agree && seen == len(want)
}

// elements is how many fields or items a set speaks of at its first level.
func elements(set *fieldpath.Set) int {
	n := set.Members.Size()
	set.Children.Iterate(func(pe fieldpath.PathElement) {
		if !set.Members.Has(pe) {
			n++
		}
	})
	return n
}

// equal compares what is owned as one value, which has a name in the map parent.
func (a agreement) equal(want, live any, parent, name string) bool {
	switch want := want.(type) {
	case map[string]any:
		live, ok := live.(map[string]any)
		if !ok || len(want) != len(live) {
			return false
		}
		for k, v := range want {
			if l, exists := live[k]; !exists || !a.equal(v, l, name, k) {
				return false
			}
		}
		return true
	case []any:
		live, ok := live.([]any)
		if !ok || len(want) != len(live) {
			return false
		}
		for i := range want {
			if !a.equal(want[i], live[i], name, "") {
				return false
			}
		}
		return true
	}
	return want == live || a.quantities && quantities[parent] && sameQuantity(want, live)
}

// measured are the groups of which we know that nothing but quantities is in maps of
// these names.
var (
	measured   = map[string]bool{"": true, "apps": true, "batch": true}
	quantities = map[string]bool{
		"capacity": true, "default": true, "defaultRequest": true, "hard": true, "limits": true,
		"max": true, "maxLimitRequestRatio": true, "min": true, "requests": true,
	}
)

// sameQuantity reports whether the server, which writes 1000m as 1, would leave a
// quantity as it is.
func sameQuantity(want, live any) bool {
	x, errX := quantity.ParseQuantity(fmt.Sprint(want))
	y, errY := quantity.ParseQuantity(fmt.Sprint(live))
	return errX == nil && errY == nil && x.Cmp(y) == 0
}
