package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"prumo.dev/prumo/internal/core"
)

var (
	pods       = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	volumes    = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumes"}
)

// maxHolders bounds how many of what holds an object are named.
const maxHolders = 5

// Holding says since when a live object is being deleted and what keeps it from
// going, as far as the server tells: "since 2026-11-22T09:00:00Z: held by …". It is
// empty for an object that is not being deleted.
func (c *Cluster) Holding(ctx context.Context, live map[string]any) string {
	u := &unstructured.Unstructured{Object: live}
	stamp := u.GetDeletionTimestamp()
	if stamp == nil {
		return ""
	}
	since := stamp.Time
	if grace := u.GetDeletionGracePeriodSeconds(); grace != nil {
		since = since.Add(-time.Duration(*grace) * time.Second) // the stamp says when it ends
	}
	return "since " + since.UTC().Format(time.RFC3339) + ": " + c.holders(ctx, u)
}

// holders names what keeps a deleted object from going.
func (c *Cluster) holders(ctx context.Context, u *unstructured.Unstructured) string {
	names := u.GetFinalizers()
	switch u.GroupVersionKind().GroupKind() {
	case schema.GroupKind{Kind: "Namespace"}:
		if why := c.remaining(ctx, u); why != "" {
			return "held by " + why
		}
		inner, _, _ := unstructured.NestedStringSlice(u.Object, "spec", "finalizers")
		names = append(names, inner...)
	case schema.GroupKind{Kind: "PersistentVolumeClaim"}:
		names = instead(names, "kubernetes.io/pvc-protection", func() string { return c.mounters(ctx, u) })
	case schema.GroupKind{Kind: "PersistentVolume"}:
		names = instead(names, "kubernetes.io/pv-protection", func() string { return c.binder(ctx, u) })
	}
	if len(names) == 0 {
		return "nothing says what holds it"
	}
	return line("held by finalizers " + few(names))
}

// instead adds to one name of a list what it stands for.
func instead(names []string, name string, means func() string) []string {
	names = slices.Clone(names)
	if i := slices.Index(names, name); i >= 0 {
		if what := means(); what != "" {
			names[i] += " (" + what + ")"
		}
	}
	return names
}

// remaining is what the server says is left in a namespace, from its conditions.
func (c *Cluster) remaining(ctx context.Context, u *unstructured.Unstructured) string {
	if _, ok, _ := unstructured.NestedFieldNoCopy(u.Object, "status"); !ok { // its metadata alone
		full, err := c.timed(ctx, func(ctx context.Context) (*unstructured.Unstructured, error) {
			return c.objects.Resource(namespaces).Get(ctx, u.GetName(), metav1.GetOptions{})
		})
		if err != nil || full.GetUID() != u.GetUID() {
			return ""
		}
		u = full
	}
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	var why []string
	for _, condition := range conditions {
		if m, ok := condition.(map[string]any); ok && m["status"] == "True" {
			why = append(why, fmt.Sprint(m["message"]))
		}
	}
	return line(strings.Join(why, "; "))
}

// mounters are the pods that use a claim.
func (c *Cluster) mounters(ctx context.Context, claim *unstructured.Unstructured) string {
	var names []string
	_, err := c.timed(ctx, func(ctx context.Context) (*unstructured.Unstructured, error) {
		list, err := c.objects.Resource(pods).Namespace(claim.GetNamespace()).List(ctx, metav1.ListOptions{Limit: pageSize})
		if err != nil {
			return nil, err
		}
		for _, pod := range list.Items {
			if mounts(pod.Object, claim.GetName()) {
				names = append(names, pod.GetName())
			}
		}
		return nil, nil
	})
	switch {
	case err != nil:
		return "a pod uses it; which cannot be read"
	case len(names) == 0:
		return "no pod uses it any more"
	}
	return "used by pods " + few(names)
}

func mounts(pod map[string]any, claim string) bool {
	list, _, _ := unstructured.NestedSlice(pod, "spec", "volumes")
	return slices.ContainsFunc(list, func(v any) bool {
		m, _ := v.(map[string]any)
		name, _, _ := unstructured.NestedString(m, "persistentVolumeClaim", "claimName")
		return name == claim
	})
}

// binder is the claim that a volume is bound to.
func (c *Cluster) binder(ctx context.Context, u *unstructured.Unstructured) string {
	full, err := c.timed(ctx, func(ctx context.Context) (*unstructured.Unstructured, error) {
		return c.objects.Resource(volumes).Get(ctx, u.GetName(), metav1.GetOptions{})
	})
	if err != nil {
		return ""
	}
	ns, _, _ := unstructured.NestedString(full.Object, "spec", "claimRef", "namespace")
	name, _, _ := unstructured.NestedString(full.Object, "spec", "claimRef", "name")
	if phase, _, _ := unstructured.NestedString(full.Object, "status", "phase"); phase != "Bound" {
		return ""
	}
	return "bound to claim " + ns + "/" + name
}

// timed asks within the time that one request may take.
func (c *Cluster) timed(ctx context.Context, ask func(context.Context) (*unstructured.Unstructured, error)) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return ask(ctx)
}

// few names the first of some, and counts the rest.
func few(names []string) string {
	if len(names) <= maxHolders {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxHolders], ", "), len(names)-maxHolders)
}

// observation is what a pass found out, with what holds the objects that are being
// deleted. A namespace that is takes what is in it with it.
func (p *pass) observation(ctx context.Context, objects []core.Observed) core.Observation {
	orphans := p.orphans()
	leaving := p.leaving(ctx, objects, orphans)
	for i := range objects {
		ns := core.ObjectID{Kind: "Namespace", Name: objects[i].Object.ID.Namespace}
		if why, ok := leaving[ns]; ok {
			o := &objects[i]
			o.Blocked, o.ServerSays, o.Unchecked, o.Predicted, o.Conflicts = fmt.Sprintf("namespace %s is terminating (%s)", ns.Name, why), "", "", nil, nil
		}
	}
	return core.Observation{Objects: objects, Expects: p.expects(), Orphans: orphans, Leaving: leaving}
}

// leaving says of each object that is being deleted what holds it.
func (p *pass) leaving(ctx context.Context, objects []core.Observed, orphans []map[string]any) map[core.ObjectID]string {
	leaving := map[core.ObjectID]string{}
	var going []map[string]any
	note := func(live map[string]any) {
		if (&unstructured.Unstructured{Object: live}).GetDeletionTimestamp() != nil {
			going = append(going, live)
		}
	}
	for _, o := range objects {
		note(o.Live)
	}
	for _, live := range orphans {
		note(live)
	}
	if p.proposal {
		going = nil // who holds it, and where, is not for the readers of a pull request
	}
	var mu sync.Mutex
	_ = each(ctx, going, func(ctx context.Context, live map[string]any) error { // what cannot be told is no fault
		text := p.c.Holding(ctx, live)
		mu.Lock()
		defer mu.Unlock()
		leaving[idOf(live)] = text
		return nil
	})
	return leaving
}
