package cluster

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"prumo.dev/prumo/internal/core"
)

// list finds all that carries our label: in full for the kinds of the rendering,
// by metadata alone for every other kind that can be listed and deleted, since a
// kind that has vanished from the repo still has its orphans. A kind that we may
// not list is passed over: nothing is concluded of what was not seen.
func (p *pass) list(ctx context.Context) error {
	full := map[schema.GroupVersionKind]bool{}
	covered := map[schema.GroupKind]bool{}
	for _, o := range slices.Concat(p.r.Objects, p.r.Expects) {
		gvk := (&unstructured.Unstructured{Object: o.Fields}).GroupVersionKind()
		full[gvk], covered[gvk.GroupKind()] = true, true
	}
	var lists []func(context.Context) error
	for gvk := range full {
		if r, err := p.api.find(gvk); err == nil && r.scannable {
			lists = append(lists, func(ctx context.Context) error { return p.listFull(ctx, r) })
		}
	}
	for _, r := range p.api.scan {
		if !covered[r.kind.GroupKind()] {
			lists = append(lists, func(ctx context.Context) error { return p.listMetadata(ctx, r) })
		}
	}
	return each(ctx, lists, func(ctx context.Context, list func(context.Context) error) error { return list(ctx) })
}

func (p *pass) listFull(ctx context.Context, r resource) error {
	return p.pages(ctx, r, true, func(ctx context.Context, o metav1.ListOptions) ([]map[string]any, string, error) {
		l, err := p.c.objects.Resource(r.GroupVersionResource).List(ctx, o)
		if err != nil {
			return nil, "", err
		}
		items := make([]map[string]any, len(l.Items))
		for i := range l.Items {
			items[i] = l.Items[i].Object
		}
		return items, l.GetContinue(), nil
	})
}

func (p *pass) listMetadata(ctx context.Context, r resource) error {
	return p.pages(ctx, r, false, func(ctx context.Context, o metav1.ListOptions) ([]map[string]any, string, error) {
		l, err := p.c.metadata.Resource(r.GroupVersionResource).List(ctx, o)
		if err != nil {
			return nil, "", err
		}
		items := make([]map[string]any, len(l.Items))
		for i := range l.Items {
			l.Items[i].SetGroupVersionKind(r.kind)
			if items[i], err = runtime.DefaultUnstructuredConverter.ToUnstructured(&l.Items[i]); err != nil {
				return nil, "", err
			}
		}
		return items, l.GetContinue(), nil
	})
}

// pages gathers what a list answers, page by page.
func (p *pass) pages(ctx context.Context, r resource, full bool, list func(context.Context, metav1.ListOptions) ([]map[string]any, string, error)) error {
	options := metav1.ListOptions{LabelSelector: core.LabelOwner + "=" + p.c.instance, Limit: pageSize}
	for {
		items, next, err := func() ([]map[string]any, string, error) {
			ctx, cancel := context.WithTimeout(ctx, requestTimeout)
			defer cancel()
			return list(ctx, options)
		}()
		switch {
		case err != nil && skippable(err):
			return nil
		case err != nil:
			return fmt.Errorf("list %s: %w", r.GroupResource(), err)
		}
		p.found(items, full)
		if options.Continue = next; next == "" {
			return nil
		}
	}
}

func (p *pass) found(items []map[string]any, full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, item := range items {
		id := idOf(item)
		p.marked[id] = item
		if full {
			p.live[id] = item
		}
	}
}

// orphans are the live objects that are ours and that nothing renders, by their
// metadata alone.
func (p *pass) orphans() []map[string]any {
	wanted := map[core.ObjectID]bool{}
	for _, o := range p.r.Objects {
		wanted[o.ID] = true
	}
	unknown := withheld(p.r)
	var orphans []map[string]any
	for id, m := range p.marked {
		if wanted[id] || !p.c.Owns(m) || unknown(annotation(m, core.AnnotationSpec)) {
			continue
		}
		orphans = append(orphans, map[string]any{"apiVersion": m["apiVersion"], "kind": m["kind"], "metadata": m["metadata"]})
	}
	slices.SortFunc(orphans, func(a, b map[string]any) int { return idOf(a).Compare(idOf(b)) })
	return orphans
}

// withheld tells of which specs it is not known what they render to: those with
// a Problem and those that need them. Their objects are no orphans. A Problem
// that names no spec may hide any spec, so that there are no orphans at all.
func withheld(r core.Rendering) func(spec string) bool {
	broken := map[core.SpecID]bool{}
	for _, p := range r.Problems {
		if p.Spec == (core.SpecID{}) {
			return func(string) bool { return true }
		}
		broken[p.Spec] = true
	}
	for grown := true; grown; {
		grown = false
		for _, s := range r.Specs {
			if !broken[s.ID] && slices.ContainsFunc(s.Refs, func(ref core.SpecID) bool { return broken[ref] }) {
				broken[s.ID], grown = true, true
			}
		}
	}
	names := map[string]bool{}
	for id := range broken {
		names[id.String()] = true
	}
	return func(spec string) bool { return names[spec] }
}
