package diff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"prumo.dev/prumo/internal/core"
)

// An owner is one entry of metadata.managedFields.
type owner struct {
	manager     string
	operation   string // Apply or Update
	subresource string // such as status or scale
	since       time.Time
	fields      *fieldpath.Set
}

// ours reports whether an entry is what we wrote by server-side apply.
func (o owner) ours() bool { return o.manager == core.FieldManager }

// imperative reports whether an entry is that of a person or script that wrote
// the object itself, and declared nothing.
func (o owner) imperative() bool {
	return !o.ours() && o.operation == "Update" && o.subresource == ""
}

// owners reads metadata.managedFields; entries that it cannot read are left out.
func owners(live map[string]any) []owner {
	meta, _ := live["metadata"].(map[string]any)
	entries, _ := meta["managedFields"].([]any)
	out := make([]owner, 0, len(entries))
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		raw, err := json.Marshal(entry["fieldsV1"])
		if err != nil {
			continue
		}
		set := fieldpath.NewSet()
		if err := set.FromJSON(bytes.NewReader(raw)); err != nil {
			continue
		}
		o := owner{fields: set}
		o.manager, _ = entry["manager"].(string)
		o.operation, _ = entry["operation"].(string)
		o.subresource, _ = entry["subresource"].(string)
		if at, ok := entry["time"].(string); ok {
			o.since, _ = time.Parse(time.RFC3339, at)
		}
		out = append(out, o)
	}
	return out
}

// attribute finds who owns the live value at path, and if that is several the
// one who wrote last; ours only if nobody else does. Of a value that is not
// there it finds who seems to have removed it; see the package comment.
func attribute(all []owner, l leaf) (owner, bool) {
	if l.from == nil {
		if o, ok := replacer(all, l.path); ok {
			return o, true
		}
		return remover(all, l.path)
	}
	var best owner
	found := false
	for _, o := range all {
		if !owns(o.fields, l.path) {
			continue
		}
		better := !found || best.ours() && !o.ours() || best.ours() == o.ours() && o.since.After(best.since)
		if better {
			best, found = o, true
		}
	}
	return best, found
}

// replacer returns who owns, as a whole, the list or map that something is
// missing from: they wrote it last, and left it out.
func replacer(all []owner, path []segment) (owner, bool) {
	for _, o := range all {
		if !o.ours() && owns(o.fields, path) {
			return o, true
		}
	}
	return owner{}, false
}

// remover returns the only imperative manager that wrote beside path after we
// last wrote, if there is exactly one.
func remover(all []owner, path []segment) (owner, bool) {
	var last time.Time
	for _, o := range all {
		if o.ours() && o.since.After(last) {
			last = o.since
		}
	}
	if last.IsZero() || len(path) < 2 {
		return owner{}, false
	}
	var found []owner
	for _, o := range all {
		if o.imperative() && o.since.After(last) && below(o.fields, path[:len(path)-1]) {
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		return owner{}, false
	}
	return found[0], true
}

// owns reports whether the field at path belongs to set: by itself, or because
// the set holds a list or map above it as a whole.
func owns(set *fieldpath.Set, path []segment) bool {
	if len(path) == 0 {
		return false
	}
	for pe := range set.Members.All() {
		if !matches(pe, path[0]) {
			continue
		}
		// Held as a whole, unless the set says in detail what of it is held.
		if _, detailed := set.Children.Get(pe); len(path) == 1 || !detailed {
			return true
		}
	}
	return anyChild(set, path, owns)
}

// below reports whether set holds anything below path.
func below(set *fieldpath.Set, path []segment) bool {
	if len(path) == 0 {
		return !set.Empty()
	}
	return anyChild(set, path, below)
}

// anyChild reports whether is holds of what set says below the first step of
// path. It visits all children: the set's range function panics at a return.
func anyChild(set *fieldpath.Set, path []segment, is func(*fieldpath.Set, []segment) bool) bool {
	found := false
	set.Children.Iterate(func(pe fieldpath.PathElement) {
		if child, ok := set.Children.Get(pe); ok && matches(pe, path[0]) {
			found = found || is(child, path[1:])
		}
	})
	return found
}

// matches reports whether an element of a set is the step s of a path.
func matches(pe fieldpath.PathElement, s segment) bool {
	switch {
	case pe.FieldName != nil:
		return !s.isItem() && *pe.FieldName == s.field
	case pe.Key != nil:
		return s.isItem() && hasKey(s.live, *pe.Key)
	case pe.Value != nil:
		return s.isItem() && s.live != nil && fmt.Sprint((*pe.Value).Unstructured()) == fmt.Sprint(s.live)
	case pe.Index != nil:
		return s.isItem() && *pe.Index == s.index
	}
	return false
}

// hasKey reports whether an item of a list has the key fields of a set element.
func hasKey(item any, key value.FieldList) bool {
	m, ok := item.(map[string]any)
	if !ok {
		return false
	}
	for _, field := range key {
		if fmt.Sprint(m[field.Name]) != fmt.Sprint(field.Value.Unstructured()) {
			return false
		}
	}
	return true
}
