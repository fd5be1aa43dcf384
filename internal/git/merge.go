package git

import (
	"context"
	"maps"
	"path"
	"slices"

	"prumo.dev/prumo/internal/core"
)

// Merge returns the files that base would have with head merged into it, and the
// paths that both sides changed differently, sorted; there the files are those
// of base. Files are taken whole: two edits of one file conflict even where git
// would join their lines, and renames are not followed. After criss-cross
// histories a path is merged only if every merge base leads to the same.
// Nothing is written. The revision of the tree is head.
func (r *Repo) Merge(ctx context.Context, base, head string) (core.Tree, []string, error) {
	bases, err := r.bases(ctx, base, head)
	if err != nil {
		return core.Tree{}, nil, err
	}
	ours, err := r.list(ctx, base)
	if err != nil {
		return core.Tree{}, nil, err
	}
	theirs, err := r.list(ctx, head)
	if err != nil {
		return core.Tree{}, nil, err
	}
	var olds []listing
	for _, id := range bases {
		old, err := r.list(ctx, id)
		if err != nil {
			return core.Tree{}, nil, err
		}
		olds = append(olds, old)
	}
	c, err := r.Commit(head)
	if err != nil {
		return core.Tree{}, nil, err
	}
	files, conflicts := mergeListings(olds, ours, theirs)
	rev := core.Revision{Commit: head, Time: c.Committer.When}
	return core.Tree{Revision: rev, FS: r.newFS(rev, files)}, conflicts, nil
}

// mergeListings merges file by file. Conflicts are sorted.
func mergeListings(olds []listing, ours, theirs listing) (listing, []string) {
	merged := maps.Clone(ours)
	conflicts := map[string]bool{}
	paths := maps.Clone(ours)
	maps.Copy(paths, theirs)
	for name := range paths {
		e, ok := mergeEntries(olds, name, ours[name], theirs[name])
		switch {
		case !ok:
			conflicts[name] = true
		case e.mode == "":
			delete(merged, name)
		default:
			merged[name] = e
		}
	}
	for name := range merged { // a file of one side where the other has a directory
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, ok := merged[dir]; ok {
				conflicts[name], conflicts[dir] = true, true
			}
		}
	}
	for name := range conflicts {
		delete(merged, name)
		if e, ok := ours[name]; ok {
			merged[name] = e
		}
	}
	return merged, slices.Sorted(maps.Keys(conflicts))
}

func mergeEntries(olds []listing, name string, ours, theirs entry) (entry, bool) {
	var merged entry
	for i, old := range olds {
		e, ok := threeWay(old[name], ours, theirs)
		if !ok || i > 0 && e != merged {
			return entry{}, false
		}
		merged = e
	}
	return merged, true
}

// threeWay takes the side that changed. Content and mode are merged apart where
// the file exists on both sides.
func threeWay(old, ours, theirs entry) (entry, bool) {
	switch {
	case ours == theirs, theirs == old:
		return ours, true
	case ours == old:
		return theirs, true
	case old.mode == "" || ours.mode == "" || theirs.mode == "":
		return entry{}, false
	}
	merged := ours
	if ours.id == old.id {
		merged.id = theirs.id
	} else if theirs.id != old.id && theirs.id != ours.id {
		return entry{}, false
	}
	if ours.mode == old.mode {
		merged.mode = theirs.mode
	}
	return merged, true
}
