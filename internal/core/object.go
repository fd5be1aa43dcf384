package core

import (
	"slices"
	"strings"

	"prumo.dev/prumo/internal/objpath"
)

// FieldManager is the server-side apply field manager of everything Prumo
// writes (KEP-555).
const FieldManager = "prumo"

// Marks that Prumo leaves on the objects that it manages. An object is ours
// only if LabelOwner names this instance and AnnotationID names the object
// itself: a copy made with kubectl carries the label but not its own id.
const (
	LabelOwner       = "prumo.dev/owner"  // instance that manages the object
	AnnotationID     = "prumo.dev/id"     // ObjectID.String() of the object itself
	AnnotationSpec   = "prumo.dev/spec"   // SpecID.String() of the spec it renders from
	AnnotationOrigin = "prumo.dev/origin" // OriginCreated or OriginAdopted
	AnnotationTaints = "prumo.dev/taints" // Node only: the (key, effect) pairs that are ours

	AnnotationPrecaution = "prumo.dev/precaution" // PrecautionHardware: a precaution is laid over the object
)

// Values of AnnotationOrigin. Only what was created may ever be deleted; what
// was adopted is released: marks and fields are given up, the object stays.
const (
	OriginCreated = "created"
	OriginAdopted = "adopted"
)

// PrecautionHardware is the value of AnnotationPrecaution.
const PrecautionHardware = "hardware"

// An ObjectID is the identity of a Kubernetes object. The API version is not
// part of it: v1beta1 and v1 of an object are one object.
type ObjectID struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// String returns Kind[.group]/[namespace/]name.
func (id ObjectID) String() string {
	var b strings.Builder
	b.WriteString(id.Kind)
	if id.Group != "" {
		b.WriteString("." + id.Group)
	}
	b.WriteByte('/')
	if id.Namespace != "" {
		b.WriteString(id.Namespace + "/")
	}
	b.WriteString(id.Name)
	return b.String()
}

// Compare orders object ids by group, kind, namespace, name.
func (id ObjectID) Compare(o ObjectID) int {
	// One after the other: tens of thousands are sorted, and cmp.Or compares all.
	if c := strings.Compare(id.Group, o.Group); c != 0 {
		return c
	}
	if c := strings.Compare(id.Kind, o.Kind); c != 0 {
		return c
	}
	if c := strings.Compare(id.Namespace, o.Namespace); c != 0 {
		return c
	}
	return strings.Compare(id.Name, o.Name)
}

// An Object is one Kubernetes object as a spec wants it, without marks.
type Object struct {
	ID     ObjectID
	Spec   SpecID
	Pos    Pos            // of the spec
	Fields map[string]any // JSON shape: map, slice, string, bool, int64, float64, nil

	// Ready is what else must be so for the object to be ready.
	Ready []Ready

	// Ignore are fields that are declared when the object is created, and belong to
	// whoever writes them from then on: they are not sent, never drift, and never a
	// conflict.
	Ignore []objpath.Path

	// Plain are fields that hold no secret, as the kind says. They may be shown where
	// their like is hidden, such as an argument of a container. The data of a Secret
	// are never shown.
	Plain []objpath.Path
	// Force are fields that are taken from other managers; see AnnotationForce.
	Force []objpath.Path

	// Rest says that others fight over it: nothing is done about it now, and it need
	// not be asked about.
	Rest bool
}

// A Ready is a field that a ready object has, beside what kstatus asks for.
type Ready struct {
	Path    objpath.Path
	Equals  any    // string, bool, int64 or float64; nil: any value will do
	Message string // said as long as it is not so; may be empty
}

// A Rendering is what a Tree says. Specs with a Problem, and specs that depend
// on one, are in Specs but have no Objects and no Expects.
type Rendering struct {
	Specs    []Spec    // sorted by ID
	Objects  []Object  // sorted by ID
	Expects  []Object  // partial objects that live state should match and nobody writes, such as a node's GPUs
	Problems []Problem // sorted by position

	// Precautions are partial objects, laid over the Objects of the same id while
	// what the spec expects is not so.
	Precautions []Object
}

// ObjectsByID returns the objects by what identifies them.
func (r Rendering) ObjectsByID() map[ObjectID]Object {
	m := make(map[ObjectID]Object, len(r.Objects))
	for i := range r.Objects {
		m[r.Objects[i].ID] = r.Objects[i]
	}
	return m
}

// SpecsByID returns the specs by what identifies them.
func (r Rendering) SpecsByID() map[SpecID]Spec {
	m := make(map[SpecID]Spec, len(r.Specs))
	for i := range r.Specs {
		m[r.Specs[i].ID] = r.Specs[i]
	}
	return m
}

// Without returns the rendering without what some specs render to. The specs stay.
func (r Rendering) Without(specs func(SpecID) bool) Rendering {
	of := func(o Object) bool { return specs(o.Spec) }
	r.Objects = slices.DeleteFunc(slices.Clone(r.Objects), of)
	r.Expects = slices.DeleteFunc(slices.Clone(r.Expects), of)
	r.Precautions = slices.DeleteFunc(slices.Clone(r.Precautions), of)
	return r
}
