package cluster

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// conflictMessage is what the server says of one conflict. An Update names the
// API version, an Apply does not (apimachinery pkg/util/managedfields).
var conflictMessage = regexp.MustCompile(`^conflict with "((?:[^"\\]|\\.)*)"(?: with subresource "[^"]*")?( using \S+)?(?: at (\S+))?$`)

// Conflicts returns the fields that a server-side apply was refused for, with
// who owns them; empty if err is no such refusal. Live, if known, adds since
// when, and tells list keys from dots in a path.
func Conflicts(err error, live map[string]any) []core.Conflict {
	status := apierrors.APIStatus(nil)
	if !apierrors.IsConflict(err) || !asStatus(err, &status) || status.Status().Details == nil {
		return nil
	}
	owners := (&unstructured.Unstructured{Object: live}).GetManagedFields()
	var conflicts []core.Conflict
	for _, cause := range status.Status().Details.Causes {
		if cause.Type != metav1.CauseTypeFieldManagerConflict {
			continue
		}
		c := parseConflict(cause)
		complete(&c, owners)
		conflicts = append(conflicts, c)
	}
	slices.SortFunc(conflicts, compareConflicts)
	return conflicts
}

// taken are the fields that a forced apply takes from other managers: those that
// it would be refused for without force.
func taken(live, predicted map[string]any) []core.Conflict {
	var conflicts []core.Conflict
	after := (&unstructured.Unstructured{Object: predicted}).GetManagedFields()
	for _, e := range (&unstructured.Unstructured{Object: live}).GetManagedFields() {
		if e.Manager == core.FieldManager {
			continue
		}
		lost := owned(e)
		for _, kept := range after {
			if kept.Manager == e.Manager && kept.Operation == e.Operation && kept.Subresource == e.Subresource && kept.APIVersion == e.APIVersion {
				lost = lost.Difference(owned(kept))
			}
		}
		conflicts = append(conflicts, named(lost.Leaves(), e)...)
	}
	slices.SortFunc(conflicts, compareConflicts)
	return conflicts
}

// staying are the fields that an apply gives up and that stay all the same, since
// another manager owns them too (kubernetes/kubernetes#99003).
func staying(live, predicted map[string]any) []core.Conflict {
	all := (&unstructured.Unstructured{Object: live}).GetManagedFields()
	lost := fieldpath.NewSet()
	for _, e := range all {
		for _, kept := range (&unstructured.Unstructured{Object: predicted}).GetManagedFields() {
			if isApplied(e) && isApplied(kept) && e.APIVersion == kept.APIVersion && !bytes.Equal(rawFields(e), rawFields(kept)) {
				lost = owned(e).Difference(owned(kept)).Leaves()
			}
		}
	}
	var stays []core.Conflict
	for _, e := range all {
		if e.Manager != core.FieldManager && !lost.Empty() {
			stays = append(stays, named(lost.Intersection(owned(e)), e)...)
		}
	}
	slices.SortFunc(stays, compareConflicts)
	return stays
}

// withoutHollow leaves out the conflicts over a map or list that is not there and that
// we would own piece by piece, and reports whether there are any. Others hold it since
// they wrote it empty, or since it was emptied: nothing of theirs is in it, and they
// may put something in it as before. What is owned as a whole is a value, empty or not.
func withoutHollow(found []core.Conflict, live, predicted map[string]any) (disputes []core.Conflict, hollow bool) {
	paths := map[string]bool{}
	if len(found) > 0 {
		for _, e := range (&unstructured.Unstructured{Object: predicted}).GetManagedFields() {
			if isApplied(e) {
				findHollow(paths, nil, owned(e), live)
			}
		}
	}
	disputes = slices.DeleteFunc(found, func(c core.Conflict) bool { return paths[c.Path] })
	return disputes, len(disputes) < len(found)
}

// findHollow notes which of the maps and lists that a set knows the inside of are not
// there in v, which lies at path.
func findHollow(paths map[string]bool, path fieldpath.Path, set *fieldpath.Set, v any) {
	// Not a range: the set's range function panics at a return.
	set.Children.Iterate(func(pe fieldpath.PathElement) {
		inside, _ := set.Children.Get(pe)
		at := append(path[:len(path):len(path)], pe)
		x, index := step(v, pe)
		if index < 0 {
			paths[pathString(at)] = true
		}
		findHollow(paths, at, inside, x)
	})
}

// isApplied reports whether an entry is what we declared.
func isApplied(e metav1.ManagedFieldsEntry) bool {
	return isOurs(e) && e.Operation == metav1.ManagedFieldsOperationApply
}

// named are the fields of a set, with who owns them. Not a range: the set's range
// function panics at a return.
func named(set *fieldpath.Set, e metav1.ManagedFieldsEntry) []core.Conflict {
	var out []core.Conflict
	set.Iterate(func(path fieldpath.Path) {
		c := core.Conflict{Path: pathString(path), Manager: e.Manager, Operation: string(e.Operation)}
		if e.Time != nil {
			c.Since = e.Time.UTC()
		}
		out = append(out, c)
	})
	return out
}

func compareConflicts(a, b core.Conflict) int {
	return strings.Compare(a.Path+"\x00"+a.Manager, b.Path+"\x00"+b.Manager)
}

func parseConflict(cause metav1.StatusCause) core.Conflict {
	c := core.Conflict{Path: cause.Field, Manager: line(strings.TrimPrefix(cause.Message, "conflict with "))}
	m := conflictMessage.FindStringSubmatch(cause.Message)
	if m == nil {
		return c
	}
	c.Manager, c.Operation = m[1], string(metav1.ManagedFieldsOperationApply)
	if m[2] != "" {
		c.Operation = string(metav1.ManagedFieldsOperationUpdate)
	}
	if t, err := time.Parse(time.RFC3339, m[3]); err == nil {
		c.Since = t
	}
	return c
}

// complete adds what managedFields knows about a conflict.
func complete(c *core.Conflict, owners []metav1.ManagedFieldsEntry) {
	name := c.Path
	for _, e := range owners {
		if e.Manager != c.Manager || string(e.Operation) != c.Operation {
			continue
		}
		// Not a range: the set's range function panics at a return.
		owned(e).Iterate(func(path fieldpath.Path) {
			if path.String() == c.Path {
				name = pathString(path)
				if e.Time != nil {
					c.Since = e.Time.UTC()
				}
			}
		})
	}
	c.Path = name
}

// pathString writes a path as plans print it: .spec.hard["requests.nvidia.com/gpu"].
func pathString(path fieldpath.Path) string {
	var b strings.Builder
	for _, e := range path {
		switch {
		case e.FieldName != nil:
			b.WriteString(objpath.Field(*e.FieldName))
		case e.Key != nil:
			var keys []string
			for _, k := range *e.Key {
				keys = append(keys, k.Name+"="+objpath.Value(fmt.Sprint(k.Value.Unstructured())))
			}
			b.WriteString("[" + strings.Join(keys, ",") + "]")
		default:
			b.WriteString(e.String())
		}
	}
	return b.String()
}
