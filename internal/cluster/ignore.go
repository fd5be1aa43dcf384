package cluster

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// giveUpTries bounds how often fields are given up again because the object
// changed in between.
const giveUpTries = 8

// yield takes out of a manifest what belongs to whoever writes it, and returns
// which of that is ours still.
//
// Server-side apply removes a field that only we own once we do not send it. So
// what is ours still is sent as it is live, until giveUp has taken it out of our
// fields. So is what lies in a list or map that is owned as a whole, since that
// cannot be sent without it.
func yield(manifest, live map[string]any, ignore []objpath.Path) (ours []objpath.Path) {
	if live == nil {
		return nil
	}
	mine, all := fieldSets(live)
	for _, p := range ignore {
		if isNode(live) && p[0].Field == "spec" && len(p) > 1 && p[1].Field == "taints" {
			continue // merged by key: see yieldTaints
		}
		held := !under(mine, live, p).Empty()
		if held {
			ours = append(ours, p)
		}
		if v, there := p.Get(live); there && (held || inWhole(all, live, p)) {
			p.Set(manifest, runtime.DeepCopyJSONValue(v))
			continue
		}
		leaveOut(manifest, live, mine, p)
	}
	return ours
}

// leaveOut removes a field from a manifest, and what is empty around it then. But
// where we own something around it that is sent, empty: the server would take it
// away with all that nobody owns in it.
func leaveOut(manifest, live map[string]any, mine *fieldpath.Set, p objpath.Path) {
	_, declared := p.Get(manifest)
	_, lives := p.Get(live)
	p.Remove(manifest)
	for n := len(p) - 1; n > 0 && p[n-1].Field != ""; n-- {
		around, sent := p[:n].Get(manifest)
		held := !under(mine, live, p[:n]).Empty()
		switch {
		case held && !sent && lives:
			p[:n].Set(manifest, emptyFor(p[n]))
			return
		case !held && sent && declared && isEmpty(around):
			p[:n].Remove(manifest)
		case sent:
			return
		}
	}
}

// emptyFor is what a step can be taken into.
func emptyFor(s objpath.Step) any {
	if s.Field != "" {
		return map[string]any{}
	}
	return []any{}
}

func isEmpty(v any) bool {
	m, isMap := v.(map[string]any)
	l, isList := v.([]any)
	return isMap && len(m) == 0 || isList && len(l) == 0
}

// yieldTaints returns the taints of a Node to want, of those that a spec wants:
// one that belongs to others is ours only if it was, as it is now.
func yieldTaints(want []any, live map[string]any, ignore []objpath.Path) []any {
	given := func(taints []any) (given, rest []any) {
		for i, t := range taints {
			if ignoresTaint(ignore, t, i) {
				given = append(given, t)
			} else {
				rest = append(rest, t)
			}
		}
		return given, rest
	}
	_, kept := given(want)
	theirs, _ := given(taintsOf(live))
	was := recorded(live)
	for _, t := range theirs {
		for _, k := range was {
			if k == keyOf(t) {
				kept = append(kept, t)
			}
		}
	}
	return kept
}

func ignoresTaint(ignore []objpath.Path, taint any, index int) bool {
	for _, p := range ignore {
		if len(p) > 1 && p[0].Field == "spec" && p[1].Field == "taints" && (len(p) == 2 || p[2].Leads(taint, index)) {
			return true
		}
	}
	return false
}

// giveUp makes fields of a live object nobody's, and leaves their values as they
// are: our entries of managedFields lose them, by a patch that is bound to the
// version that was read. It returns the object after.
func (c *Cluster) giveUp(ctx context.Context, live map[string]any, paths []objpath.Path) (map[string]any, error) {
	for range giveUpTries {
		entries, fewer := without(live, paths)
		if !fewer {
			return live, nil
		}
		after, err := c.patchManagers(ctx, live, entries)
		if !apierrors.IsConflict(err) {
			return after, err
		}
		gone := apierrors.NewNotFound(nodes.GroupResource(), idOf(live).Name)
		if live, err = c.Get(ctx, live); err != nil {
			return nil, err
		}
		if live == nil {
			return nil, gone
		}
	}
	return nil, refusal("it keeps changing while fields of it are given up; the next pass tries again")
}

func (c *Cluster) patchManagers(ctx context.Context, live map[string]any, entries []metav1.ManagedFieldsEntry) (map[string]any, error) {
	u := &unstructured.Unstructured{Object: live}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": u.GetUID(), "resourceVersion": u.GetResourceVersion(), "managedFields": entries,
	}})
	if err != nil {
		return nil, fmt.Errorf("encode what is given up of %s: %w", idOf(live), err)
	}
	return c.patch(ctx, live, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: core.FieldManager})
}

// without returns the managedFields of an object after we gave up some fields, and
// whether that changes them.
func without(live map[string]any, paths []objpath.Path) (entries []metav1.ManagedFieldsEntry, fewer bool) {
	entries = (&unstructured.Unstructured{Object: live}).GetManagedFields()
	for i, e := range entries {
		if !isOurs(e) {
			continue
		}
		before := owned(e)
		after := before
		for _, p := range paths {
			after = after.Difference(under(after, live, p))
		}
		if after.Size() == before.Size() {
			continue
		}
		raw, err := after.ToJSON()
		if err != nil {
			continue // a set that was read can be written
		}
		entries[i].FieldsV1 = metav1.NewFieldsV1(string(raw))
		fewer = true
	}
	return entries, fewer
}

func isOurs(e metav1.ManagedFieldsEntry) bool {
	return e.Manager == core.FieldManager && e.Subresource == ""
}

// fieldSets are the fields of a live object that are ours, and all that anybody
// owns.
func fieldSets(live map[string]any) (ours, all *fieldpath.Set) {
	ours, all = fieldpath.NewSet(), fieldpath.NewSet()
	for _, e := range (&unstructured.Unstructured{Object: live}).GetManagedFields() {
		set := owned(e)
		if all = all.Union(set); isOurs(e) {
			ours = ours.Union(set)
		}
	}
	return ours, all
}

// under is the part of a set that lies at p in an object, or below. Not a range:
// the set's range function panics at a return.
func under(set *fieldpath.Set, object map[string]any, p objpath.Path) *fieldpath.Set {
	part := fieldpath.NewSet()
	set.Iterate(func(path fieldpath.Path) {
		if leads(path, object, p) {
			part.Insert(path.Copy())
		}
	})
	return part
}

// leads reports whether an element of a set is at p in an object, or below.
func leads(path fieldpath.Path, v any, p objpath.Path) bool {
	if len(path) < len(p) {
		return false
	}
	for i, s := range p {
		below, index := step(v, path[i])
		if field := path[i].FieldName; field != nil && *field != s.Field || field == nil && (index < 0 || !s.Leads(below, index)) {
			return false
		}
		v = below
	}
	return true
}

// inWhole reports whether p lies in a list or map that somebody owns as a whole,
// as atomic ones are.
func inWhole(all *fieldpath.Set, live map[string]any, p objpath.Path) bool {
	for n := 1; n < len(p); n++ {
		part := under(all, live, p[:n])
		whole := part.Size() == 1
		part.Iterate(func(path fieldpath.Path) { whole = whole && len(path) == n })
		if whole {
			return true
		}
	}
	return false
}
