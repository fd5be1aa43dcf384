package images

import (
	"context"
	"fmt"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// Untrusted says which of some objects, that stay as they were applied, have an
// image that the policy of a tree refuses now. What a registry gives no answer
// about is not refused by the policy, and not among them.
func (v *Verifier) Untrusted(ctx context.Context, policy core.Tree, seen []core.Observed) (map[core.ObjectID]core.Untrusted, error) {
	rules, err := v.rules(ctx, policy)
	if err != nil || rules == nil || len(seen) == 0 {
		return nil, err
	}
	objects := make([]core.Object, len(seen))
	for i, o := range seen {
		objects[i] = o.Object
	}
	uses := Find(objects, rules.Fields)
	verdicts := v.judgeAll(ctx, *rules, uses)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	reasons := make(map[core.ObjectID][]string)
	refused := make(map[string]bool)
	for _, u := range uses {
		out := verdicts[u.Image]
		switch {
		case u.Guess:
			reasons[u.Object] = append(reasons[u.Object], u.guess())
		case out == nil || out.unanswered:
			continue
		case out.refusal != nil:
			reasons[u.Object] = append(reasons[u.Object], fmt.Sprintf("the image %q of %s %s", u.Image, u.Path, out.refusal))
		default:
			continue
		}
		refused[u.Image] = true
	}
	untrusted := make(map[core.ObjectID]core.Untrusted, len(reasons))
	for _, o := range seen {
		if reason := reasons[o.Object.ID]; reason != nil {
			untrusted[o.Object.ID] = core.Untrusted{Reason: strings.Join(reason, "; "), Absent: absent(o, refused, rules.Fields)}
		}
	}
	return untrusted, nil
}

// absent reports whether applying an object would bring in one of some images:
// the object would have it more often than it has now. What is in sync runs what
// it says, and is not held in full.
func absent(o core.Observed, images map[string]bool, fields []core.ImageField) bool {
	if o.Live == nil {
		return true
	}
	would := o.Predicted
	if would == nil {
		would = o.Manifest
	}
	count := func(content map[string]any) map[string]int {
		n := make(map[string]int)
		for _, u := range Find([]core.Object{{ID: o.Object.ID, Fields: content}}, fields) {
			if images[u.Image] {
				n[u.Image]++
			}
		}
		return n
	}
	now := count(o.Live)
	for image, n := range count(would) {
		if n > now[image] {
			return true
		}
	}
	return false
}
