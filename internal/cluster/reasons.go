package cluster

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"prumo.dev/prumo/internal/core"
)

// unchecked says why there is no use in asking the server about an object,
// though nothing is wrong; empty if there is.
func (p *pass) unchecked(o core.Object) string {
	if !p.api.has(o) && p.definesAPI(o) {
		return fmt.Sprintf("its API %s comes with this plan", apiOf(o))
	}
	if p.comes(o.ID.Namespace) {
		return fmt.Sprintf("namespace %s comes with this plan", o.ID.Namespace)
	}
	return ""
}

// blocked says why an object cannot be applied, as far as that can be known
// without asking the server; zero if nothing is known to be in the way.
func (p *pass) blocked(o core.Object, live map[string]any) Denial {
	if why, ok := p.refused[o.ID]; ok {
		return why
	}
	return Denial{Reason: p.impossible(o, live)}
}

// impossible says why no server would accept an object; "" if one may.
func (p *pass) impossible(o core.Object, live map[string]any) string {
	if !p.api.has(o) {
		return p.notServed(o)
	}
	if reason := p.misnamed(o); reason != "" {
		return reason
	}
	owner := (&unstructured.Unstructured{Object: live}).GetLabels()[core.LabelOwner]
	switch {
	case isNode(o.Fields) && live == nil:
		return fmt.Sprintf("node %s has not joined the cluster", o.ID.Name)
	case owner != "" && owner != p.c.instance && owns(live, owner):
		return fmt.Sprintf("belongs to another instance of Prumo, %s", owner)
	}
	return ""
}

// misnamed says why no object can have the name that this one has.
func (p *pass) misnamed(o core.Object) string {
	r, err := p.api.find((&unstructured.Unstructured{Object: o.Fields}).GroupVersionKind())
	switch {
	case err != nil:
		return ""
	case o.ID.Name == "":
		return fmt.Sprintf("a %s has a name: give metadata.name", o.ID.Kind)
	case r.namespaced && o.ID.Namespace == "":
		return fmt.Sprintf("a %s lives in a namespace: give metadata.namespace", o.ID.Kind)
	case !r.namespaced && o.ID.Namespace != "":
		return fmt.Sprintf("a %s lives in no namespace: remove metadata.namespace", o.ID.Kind)
	}
	return ""
}

func (p *pass) notServed(o core.Object) string {
	if p.api.down[o.ID.Group] {
		return fmt.Sprintf("the API server of group %s, which provides %s, does not answer", o.ID.Group, o.ID.Kind)
	}
	_, err := p.api.find((&unstructured.Unstructured{Object: o.Fields}).GroupVersionKind())
	why, _ := Refusal(err, o.ID)
	return why.Reason
}

// definesAPI reports whether the rendering has the CustomResourceDefinition of
// an object's kind.
func (p *pass) definesAPI(o core.Object) bool {
	for _, d := range p.r.Objects {
		if d.ID.Group != "apiextensions.k8s.io" || d.ID.Kind != "CustomResourceDefinition" {
			continue
		}
		group, _, _ := unstructured.NestedString(d.Fields, "spec", "group")
		kind, _, _ := unstructured.NestedString(d.Fields, "spec", "names", "kind")
		if group == o.ID.Group && kind == o.ID.Kind {
			return true
		}
	}
	return false
}

func apiOf(o core.Object) string {
	return (&unstructured.Unstructured{Object: o.Fields}).GroupVersionKind().GroupVersion().String() + " " + o.ID.Kind
}
