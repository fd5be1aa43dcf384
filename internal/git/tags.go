package git

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

const tagRefs = "refs/tags/"

// FetchTags brings the tags of the remote whose full ref names match, and makes
// them what Tag knows. A tag is not looked at here: one that is hostile costs no
// more than Limits allow, and is refused when it is read. More matching tags than
// Limits.Tags are an error that is ErrLimit.
func (r *Repo) FetchTags(ctx context.Context, match func(ref string) bool) error {
	r.fetching.Lock()
	defer r.fetching.Unlock()
	found, _, err := r.spool(ctx, want{match: match, max: r.limits.Tags})
	if err != nil {
		return r.fetchError(ctx, "tags", err)
	}
	r.setTags(found)
	return nil
}

// Tag reads an annotated tag by its full ref name, as the last FetchTags found
// it; ErrNotFound if there was none. What breaks the grammar is a BadObject.
func (r *Repo) Tag(ref string) (*Tag, error) {
	r.tagging.Lock()
	id, ok := r.tags[ref]
	r.tagging.Unlock()
	if !ok {
		return nil, fmt.Errorf("%s: %w", ref, ErrNotFound)
	}
	if r.store.hasCommit(id) {
		return nil, &BadObject{ID: id, Code: CodeFormat, Reason: "it is a lightweight tag, which nobody signs: use git tag -s"}
	}
	raw, err := r.store.read(id, plumbing.TagObject, r.limits.CommitBytes)
	if err != nil {
		return nil, err
	}
	t, err := parseTag(raw)
	if err != nil {
		return nil, located(err, id, "")
	}
	t.ID = id
	return t, nil
}

func (r *Repo) setTags(tags map[string]string) {
	r.tagging.Lock()
	defer r.tagging.Unlock()
	r.tags = tags
}

// tagged returns the ids of the tags that Tag knows.
func (r *Repo) tagged() []string {
	r.tagging.Lock()
	defer r.tagging.Unlock()
	return slices.Collect(maps.Values(r.tags))
}

// A want is what a fetch asks for: one ref, or tags.
type want struct {
	ref   string
	match func(ref string) bool // of tags, by full ref name
	max   int                   // tags
}

// collect adds a ref that the remote has, if it is wanted.
func (w want) collect(refs map[string]string, ref, id string) error {
	if w.match == nil || !strings.HasPrefix(ref, tagRefs) || !w.match(ref) {
		return nil
	}
	if len(refs) == w.max {
		return fmt.Errorf("more than %d matching tags: %w (tags)", w.max, ErrLimit)
	}
	refs[ref] = id
	return nil
}
