package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"prumo.dev/prumo/internal/core"
)

func kindOf(o core.Object) schema.GroupVersionKind {
	return (&unstructured.Unstructured{Object: o.Fields}).GroupVersionKind()
}

// follow sees to it that everything is watched which the pass needs, and waits
// for what is not yet. A watch is kept when its kind leaves the repo: its last
// objects become orphans.
func (w *Watched) follow(ctx context.Context, p *pass) error {
	w.mu.Lock()
	for key, t := range w.watches {
		if _, err := p.api.find(key.kind); err != nil {
			t.cancel()
			delete(w.watches, key)
		}
	}
	for _, o := range p.r.Objects {
		w.begin(p.api, watchKey{kindOf(o), scopeOurs})
	}
	for _, o := range p.r.Expects {
		w.begin(p.api, watchKey{kindOf(o), scopeAll})
	}
	due := time.Now().After(w.nextScan)
	w.mu.Unlock()
	if due {
		if err := w.scan(ctx, p); err != nil {
			return err
		}
	}
	return w.await(ctx)
}

// begin starts a watch that does not exist. The lock is held.
func (w *Watched) begin(api *served, key watchKey) {
	r, err := api.find(key.kind)
	if err == nil && w.watches[key] == nil && (r.scannable || key.scope != scopeOurs) {
		w.watches[key] = w.start(w.ctx, key, r)
	}
}

// scan searches all kinds, once in a while, for what is ours: a kind that nothing
// renders any more may hold orphans. Where there are some, it watches.
func (w *Watched) scan(ctx context.Context, p *pass) error {
	others := *p.api
	others.scan = w.unwatched(p.api.scan)
	all := newPass(w.c, core.Rendering{})
	all.api = &others
	if err := all.list(ctx); err != nil {
		return err
	}
	holds := map[schema.GroupKind]bool{}
	for id := range all.marked {
		holds[schema.GroupKind{Group: id.Group, Kind: id.Kind}] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range others.scan {
		if holds[r.kind.GroupKind()] {
			w.begin(p.api, watchKey{r.kind, scopeOurs})
		}
	}
	w.nextScan = time.Now().Add(between(w.memory.every))
	return nil
}

// unwatched are the kinds of which no watch tells what is ours.
func (w *Watched) unwatched(kinds []resource) []resource {
	w.mu.Lock()
	defer w.mu.Unlock()
	watched := map[schema.GroupKind]bool{}
	for key := range w.watches {
		if key.scope == scopeOurs {
			watched[key.kind.GroupKind()] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(kinds), func(r resource) bool { return watched[r.kind.GroupKind()] })
}

// await waits until every watch has either its first list or an error.
func (w *Watched) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.changed.Broadcast()
	})
	defer stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.watches {
		for !t.synced && t.err == nil {
			if ctx.Err() != nil {
				return fmt.Errorf("watch %s: %w", t.key.kind.Kind, context.Cause(ctx))
			}
			w.changed.Wait()
		}
	}
	return nil
}

// recall fills a pass with what the watches and the memory know. Kinds that may
// not be watched are listed.
func (w *Watched) recall(ctx context.Context, p *pass) error {
	lists, err := w.recollect(p)
	if err != nil {
		return err
	}
	return each(ctx, lists, p.listFull)
}

// recollect returns the kinds that must be listed.
func (w *Watched) recollect(p *pass) ([]resource, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var lists []resource
	for key, t := range w.watches {
		switch {
		case t.err != nil && !skippable(t.err):
			return nil, fmt.Errorf("watch %s: %w", key.kind.Kind, t.err)
		case t.err != nil && key.scope == scopeOurs:
			r, _ := p.api.find(key.kind) // follow keeps only those that are served
			lists = append(lists, r)
		}
	}
	p.failed = maps.Clone(w.memory.failed)
	budget := verifiedPerPass
	clear(w.resting)
	for _, o := range p.r.Objects {
		if o.Rest {
			w.resting[o.ID] = true
		}
		if w.recallSnag(p, o) {
			continue
		}
		if r := w.record(o); r != nil {
			w.recallOne(p, o, r, &budget)
		}
	}
	for _, o := range p.r.Expects {
		if t := w.watches[watchKey{kindOf(o), scopeAll}]; t != nil && t.listens() {
			p.told++
			p.expected[o.ID] = nil
			if r := t.records[o.ID]; r != nil {
				p.expected[o.ID] = r.full
			}
		}
	}
	return lists, nil
}

// recallOne tells a pass what is known of one of our objects. What is due to be
// verified is not known, up to the budget.
func (w *Watched) recallOne(p *pass, o core.Object, r *record, budget *int) {
	if o.Rest {
		if v := w.memory.stale(o); v != nil {
			p.known[o.ID] = v.told(p, o)
			return
		}
	}
	v := w.memory.find(o, r)
	if v != nil && *budget > 0 && time.Now().After(v.until) {
		*budget--
		return // read live, and asked about
	}
	switch {
	case v == nil && r.full == nil:
		return // was in sync with something else
	case v == nil:
		p.live[o.ID], p.cached[o.ID] = r.full, true
		return
	case v.outcome == nil:
		if p.inSync == 0 || v.until.Before(p.due) {
			p.due = v.until
		}
		p.inSync++
		r.full, r.seen = nil, false
		p.known[o.ID] = core.Observed{Object: o, Spec: p.specs[o.Spec], Live: noLook, Predicted: noLook, Ours: true}
	default:
		p.known[o.ID] = v.told(p, o)
	}
	if isNamespace(o) {
		p.live[o.ID] = p.known[o.ID].Live // what is in it need not wait for it
	}
}

// confirm reads live what seems to be an orphan, once: nothing is deleted, and
// not even planned to be, on the word of a watch.
func (w *Watched) confirm(ctx context.Context, p *pass) error {
	wanted := map[core.ObjectID]bool{}
	for _, o := range p.r.Objects {
		wanted[o.ID] = true
	}
	w.mu.Lock()
	var unseen []orphan
	for key, t := range w.watches {
		if key.scope != scopeOurs || !t.listens() {
			continue
		}
		for id, r := range maps.All(t.records) {
			switch {
			case wanted[id] || p.marked[id] != nil:
			case r.seen:
				p.marked[id] = r.full
			default:
				unseen = append(unseen, orphan{key.kind, id, r})
			}
		}
	}
	w.mu.Unlock()
	return each(ctx, unseen, func(ctx context.Context, o orphan) error { return w.confirmOne(ctx, p, o) })
}

// An orphan is an object with our label that the rendering does not have.
type orphan struct {
	kind schema.GroupVersionKind
	id   core.ObjectID
	r    *record
}

func (w *Watched) confirmOne(ctx context.Context, p *pass, o orphan) error {
	like := &unstructured.Unstructured{Object: map[string]any{}}
	like.SetGroupVersionKind(o.kind)
	like.SetNamespace(o.id.Namespace)
	like.SetName(o.id.Name)
	live, err := w.c.Get(ctx, like.Object)
	if _, refused := Refusal(err, o.id); err != nil && !refused {
		return fmt.Errorf("read %s: %w", o.id, err)
	}
	if err != nil || live == nil {
		return nil // nothing is concluded of what is not seen
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if digestOf(live) == o.r.digest {
		o.r.full, o.r.seen = live, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.marked[o.id] = live
	return nil
}
