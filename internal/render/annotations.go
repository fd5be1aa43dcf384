package render

import (
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// annotations are all that a spec may carry of ours, as messages name them.
var annotations = strings.Join([]string{core.AnnotationDrift, core.AnnotationConflicts, core.AnnotationIgnore, core.AnnotationForce}, ", ")

// readAnnotations reads how the objects of the spec are to be kept.
func (u *unit) readAnnotations(doc *document) {
	u.Spec.Drift = core.DriftCorrect
	st, _ := member(doc.expr.(*ast.StructLit), "metadata").(*ast.StructLit)
	ann, ok := member(st, "annotations").(*ast.StructLit)
	if !ok {
		return
	}
	for _, e := range ann.Elts {
		f, ok := e.(*ast.Field)
		if !ok {
			continue
		}
		if name := labelOf(f); strings.HasPrefix(name, "prumo.dev/") {
			value, _ := text(ann, name)
			u.readAnnotation(annotationPath(name), name, value)
		}
	}
}

func annotationPath(name string) []string { return []string{"metadata", "annotations", name} }

func (u *unit) readAnnotation(path []string, name, value string) {
	switch name {
	case core.AnnotationDrift:
		switch mode := core.DriftMode(value); mode {
		case core.DriftCorrect, core.DriftReport, core.DriftIgnore:
			u.Spec.Drift = mode
		default:
			u.blame(u.Places.at(path), "%s: %q; want one of correct, report, ignore", shown(path), value)
		}
	case core.AnnotationConflicts:
		if u.Spec.TakeConflicts = value == "take"; !u.Spec.TakeConflicts {
			u.blame(u.Places.at(path), "%s: %q; want take, or leave it out", shown(path), value)
		}
	case core.AnnotationIgnore, core.AnnotationForce:
		rules, err := objpath.ParseRules(value)
		if err != nil {
			u.blame(u.Places.at(path), "%s: %v", shown(path), err)
		}
		if name == core.AnnotationIgnore {
			u.Ignore = rules
		} else {
			u.Force = rules
		}
	default:
		u.blame(u.Places.label(path), "%s: unknown annotation; want one of %s", shown(path), annotations)
	}
}

// share tells objects which of their fields belong to others, by the spec and by
// its kind, which are taken from others, and which hold no secret. An error is a
// mistake of the kind.
func (u *unit) share(v cue.Value, objects []core.Object, blame func(core.Pos, string, ...any)) error {
	ignore, err := kindRules(v, "ignore")
	if err != nil {
		return err
	}
	ignore = append(slices.Clone(u.Ignore), ignore...)
	plain, err := kindRules(v, "plain")
	if err != nil {
		return err
	}
	for i := range objects {
		objects[i].Ignore = pathsFor(objects[i].ID, ignore)
		objects[i].Plain = pathsFor(objects[i].ID, plain)
		objects[i].Force = pathsFor(objects[i].ID, u.Force)
	}
	u.checkRules(core.AnnotationIgnore, u.Ignore, objects, blame)
	u.checkRules(core.AnnotationForce, u.Force, objects, blame)
	return nil
}

// kindRules reads rules that a kind gives in a field of its contract.
func kindRules(v cue.Value, field string) (all []objpath.Rule, err error) {
	data, err := toGo(v.LookupPath(cue.ParsePath(field)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	list, _ := data.([]any)
	for _, text := range list {
		rules, err := objpath.ParseRules(fmt.Sprint(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field, err)
		}
		all = append(all, rules...)
	}
	return all, nil
}

func pathsFor(id core.ObjectID, rules []objpath.Rule) []objpath.Path {
	var paths []objpath.Path
	for _, r := range rules {
		if r.Applies(id.Group, id.Kind) {
			paths = append(paths, r.Path)
		}
	}
	return paths
}

// checkRules blames rules for objects that the spec does not render.
func (u *unit) checkRules(annotation string, rules []objpath.Rule, objects []core.Object, blame func(core.Pos, string, ...any)) {
	path := annotationPath(annotation)
	var kinds []string
	for _, o := range objects {
		kinds = append(kinds, o.ID.Kind)
	}
	slices.Sort(kinds)
	kinds = slices.Compact(kinds)
	for _, r := range rules {
		known := slices.ContainsFunc(objects, func(o core.Object) bool { return r.Applies(o.ID.Group, o.ID.Kind) })
		if !known {
			blame(u.Places.at(path), "%s: %s renders no %s; %s", shown(path), u.Spec.ID, r.Kind, choose(r.Kind, kinds))
		}
	}
}
