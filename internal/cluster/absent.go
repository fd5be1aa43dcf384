package cluster

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"prumo.dev/prumo/internal/core"
)

const (
	// censusFrom is the number of objects of one kind from which on they are looked
	// for in a list of names, rather than one by one.
	censusFrom = 4

	// readsPerPage is how many reads of one object a page of names may replace. A
	// kind of which others have so many objects that the pages cost more is read one
	// by one.
	readsPerPage = 8
)

// fetch reads what the lists did not show: what is not there, or not ours.
// Namespaces go first: what is in an absent one is absent.
func (p *pass) fetch(ctx context.Context) error {
	var first, rest []core.Object
	for i, o := range slices.Concat(p.r.Objects, p.r.Expects) {
		_, known := p.known[o.ID]
		if i >= len(p.r.Objects) {
			_, known = p.expected[o.ID]
		}
		switch {
		case known || p.live[o.ID] != nil || !p.api.has(o) || p.misnamed(o) != "":
		case isNamespace(o):
			first = append(first, o)
		default:
			rest = append(rest, o)
		}
	}
	if err := p.read(ctx, first); err != nil {
		return err
	}
	return p.read(ctx, slices.DeleteFunc(rest, func(o core.Object) bool { return p.comes(o.ID.Namespace) }))
}

// read reads one by one what may exist.
func (p *pass) read(ctx context.Context, unseen []core.Object) error {
	if err := p.ruleOut(ctx, unseen); err != nil {
		return err
	}
	return each(ctx, slices.DeleteFunc(unseen, func(o core.Object) bool { return p.absent[o.ID] }), p.readOne)
}

func (p *pass) readOne(ctx context.Context, o core.Object) error {
	live, err := p.c.Get(ctx, o.Fields)
	why, refused := Denial{}, false
	if err != nil {
		if why, refused = Refusal(err, o.ID); !refused {
			return fmt.Errorf("read %s: %w", o.ID, err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case refused:
		p.refused[o.ID] = why
	case live != nil:
		p.live[o.ID] = live
	default:
		p.absent[o.ID] = true
	}
	return nil
}

// comes reports whether a namespace does not exist and comes with this rendering.
func (p *pass) comes(namespace string) bool {
	id := core.ObjectID{Kind: "Namespace", Name: namespace}
	return p.namespaces[namespace] && p.live[id] == nil && p.refused[id] == (Denial{})
}

// ruleOut notes which of some objects surely do not exist.
func (p *pass) ruleOut(ctx context.Context, unseen []core.Object) error {
	byKind := map[schema.GroupVersionKind][]core.Object{}
	for _, o := range unseen {
		byKind[kindOf(o)] = append(byKind[kindOf(o)], o)
	}
	var kinds [][]core.Object
	for _, objects := range byKind {
		if len(objects) >= censusFrom {
			kinds = append(kinds, objects)
		}
	}
	return each(ctx, kinds, p.census)
}

// census lists the names of one kind, of one namespace if all objects are in that
// one, and notes which of the objects are not among them. A list that fails, or
// would be too long, proves nothing.
func (p *pass) census(ctx context.Context, objects []core.Object) error {
	r, err := p.api.find(kindOf(objects[0]))
	if err != nil || !r.scannable {
		return nil // not to be listed
	}
	namespace := objects[0].ID.Namespace
	missing := make(map[core.ObjectID]bool, len(objects))
	for _, o := range objects {
		missing[o.ID] = true
		if o.ID.Namespace != namespace {
			namespace = ""
		}
	}
	options := metav1.ListOptions{Limit: pageSize}
	for left := 1 + len(objects)/readsPerPage; left > 0; left-- {
		page, err := p.names(ctx, r, namespace, options)
		if err != nil {
			return ctx.Err()
		}
		for _, item := range page.Items {
			delete(missing, core.ObjectID{Group: r.kind.Group, Kind: r.kind.Kind, Namespace: item.Namespace, Name: item.Name})
		}
		if options.Continue = page.Continue; options.Continue == "" {
			p.mu.Lock()
			defer p.mu.Unlock()
			for id := range missing {
				p.absent[id] = true
			}
			return nil
		}
		if rest := page.RemainingItemCount; rest != nil && *rest > int64(left)*pageSize {
			return nil
		}
	}
	return nil
}

func (p *pass) names(ctx context.Context, r resource, namespace string, o metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return p.c.metadata.Resource(r.GroupVersionResource).Namespace(namespace).List(ctx, o)
}
