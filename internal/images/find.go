package images

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// A Use is one field of an object that names an image.
type Use struct {
	Object core.ObjectID
	Spec   core.SpecID
	Pos    core.Pos // of the spec
	Path   string   // such as .spec.template.spec.containers[0].image
	Image  string   // as written; empty if the field holds no text
	Guess  bool     // looks like an image, in a place that the policy does not declare; without Path: has one fetched
}

// Find returns every use of an image, in the order of the objects. Images are
// where a pod has them (containers, initContainers, ephemeralContainers, image
// volumes), at any depth of any kind, and where fields says that custom resources
// have them. A field named image of a custom resource that is neither is a Guess,
// and so is an object of fetchers that fields does not speak of.
func Find(objects []core.Object, fields []core.ImageField) []Use {
	var uses []Use
	for _, o := range objects {
		w := walker{paths: declared(o.ID, fields), custom: custom(o.ID.Group), visit: func(path, image string, guess bool) string {
			uses = append(uses, Use{Object: o.ID, Spec: o.Spec, Pos: o.Pos, Path: path, Image: image, Guess: guess})
			return image
		}}
		w.value(o.Fields, "", "")
		if slices.Contains(fetchers, kindOf(o.ID)) && len(w.paths) == 0 {
			uses = append(uses, Use{Object: o.ID, Spec: o.Spec, Pos: o.Pos, Guess: true})
		}
	}
	return uses
}

// fetchers are the kinds that have another controller fetch a chart or a
// repository and run what is in it: images that no object here names.
var fetchers = []string{
	"HelmRelease.helm.toolkit.fluxcd.io", "Kustomization.kustomize.toolkit.fluxcd.io",
	"Application.argoproj.io", "ApplicationSet.argoproj.io",
	"HelmChart.helm.cattle.io", "HelmChartConfig.helm.cattle.io", "GitRepo.fleet.cattle.io", "Bundle.fleet.cattle.io",
	"HelmChartProxy.addons.cluster.x-k8s.io",
}

// kindOf is Kind or Kind.group, as core.ImageField has it.
func kindOf(id core.ObjectID) string {
	if id.Group == "" {
		return id.Kind
	}
	return id.Kind + "." + id.Group
}

// rewrite returns a copy of an object that names the images of pins by what they
// are pinned to. Other images stay.
func rewrite(o core.Object, fields []core.ImageField, pins map[string]string) core.Object {
	w := walker{paths: declared(o.ID, fields), visit: func(_, image string, _ bool) string {
		if pinned, ok := pins[image]; ok {
			return pinned
		}
		return image
	}}
	o.Fields, _ = w.value(o.Fields, "", "").(map[string]any)
	return o
}

// custom reports whether an API group is not one of Kubernetes itself.
func custom(group string) bool {
	return strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io")
}

// declared returns the paths that hold images of an object's kind, in the form
// of walker.value's generic path.
func declared(id core.ObjectID, fields []core.ImageField) map[string]bool {
	kind := kindOf(id)
	paths := make(map[string]bool)
	for _, f := range fields {
		for _, p := range f.Paths {
			if f.Kind == kind {
				paths["."+p] = true
			}
		}
	}
	return paths
}

// A walker copies a value and lets visit replace each image in it.
type walker struct {
	paths  map[string]bool // declared, such as .spec.workers[*].image
	custom bool
	visit  func(path, image string, guess bool) string
}

// podLists are the lists of a pod whose items have an image.
var podLists = []string{"containers", "initContainers", "ephemeralContainers"}

// value copies v. path is where it is, generic the same with [*] for indexes.
func (w walker) value(v any, path, generic string) any {
	if w.paths[generic] {
		image, _ := v.(string)
		return w.visit(path, image, false)
	}
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out[key] = w.field(key, v[key], path, generic)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = w.value(item, fmt.Sprintf("%s[%d]", path, i), generic+"[*]")
		}
		return out
	}
	return v
}

// field copies one field of a map.
func (w walker) field(key string, v any, path, generic string) any {
	path, generic = path+"."+key, generic+"."+key
	image, isText := v.(string)
	switch {
	case w.paths[generic]:
	case key == "image" && isText && inPodList(generic), key == "reference" && isText && strings.HasSuffix(generic, ".volumes[*].image.reference"):
		return w.visit(path, image, false)
	case key == "image" && isText && w.custom:
		return w.visit(path, image, true)
	}
	return w.value(v, path, generic)
}

// inPodList reports whether a path is the image of an item of a pod's list.
func inPodList(generic string) bool {
	return slices.ContainsFunc(podLists, func(list string) bool {
		return strings.HasSuffix(generic, "."+list+"[*].image")
	})
}
