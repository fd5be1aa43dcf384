package cluster

import (
	"context"

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
