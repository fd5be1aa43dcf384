package core

import (
	"cmp"
	"strings"
)

// APIVersion is the apiVersion of every spec.
const APIVersion = "prumo.dev/v1alpha1"

// KindDataset is the kind of the specs whose objects are never deleted without an
// approval, whatever they are: data are behind them.
const KindDataset = "Dataset"

// Annotations that a spec may carry to say how its objects are kept.
const (
	AnnotationDrift     = "prumo.dev/drift"     // a DriftMode; default correct
	AnnotationConflicts = "prumo.dev/conflicts" // "take": take fields that another manager owns; default: show and leave

	AnnotationIgnore = "prumo.dev/ignore"       // objpath.ParseRules: fields that belong to whoever writes them; see Object.Ignore
	AnnotationForce  = "prumo.dev/force-fields" // objpath.ParseRules: fields to take from other managers, and no others
)

// A SpecID names a spec; unique within a repo.
type SpecID struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// String returns Kind/name.
func (id SpecID) String() string {
	if id == (SpecID{}) {
		return ""
	}
	return id.Kind + "/" + id.Name
}

// Compare orders spec ids by kind and name.
func (id SpecID) Compare(o SpecID) int {
	return cmp.Or(strings.Compare(id.Kind, o.Kind), strings.Compare(id.Name, o.Name))
}

// A Spec is one declared thing of the infra repo.
type Spec struct {
	ID            SpecID    `json:"id"`
	Pos           Pos       `json:"pos"`
	Refs          []SpecID  `json:"refs,omitempty"` // specs that it needs
	Drift         DriftMode `json:"drift"`
	TakeConflicts bool      `json:"takeConflicts,omitempty"` // see AnnotationConflicts
}
