package cluster

import (
	"reflect"

	"k8s.io/apimachinery/pkg/runtime"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// respell writes into a manifest, as the server stores it, what we say in other words
// than another manager and mean alike: 1000m, which is stored as 1. The server
// compares words, and would have one of us take the field from the other; like this
// both hold it. predicted is what the server makes of our words. It reports whether
// there was such a field.
func respell(o *core.Observed, predicted map[string]any) bool {
	var alike []objpath.Path
	for _, c := range o.Conflicts {
		path, err := objpath.Parse(c.Path)
		if err != nil {
			continue // not one that we could write
		}
		said, sent := path.Get(o.Manifest)
		live, there := path.Get(o.Live)
		becomes, stays := path.Get(predicted)
		if sent && there && stays && reflect.DeepEqual(live, becomes) && !reflect.DeepEqual(said, live) {
			alike = append(alike, path)
		}
	}
	if len(alike) == 0 {
		return false
	}
	o.Manifest = runtime.DeepCopyJSON(o.Manifest) // parts of it are shared
	for _, path := range alike {
		live, _ := path.Get(o.Live)
		path.Set(o.Manifest, runtime.DeepCopyJSONValue(live))
	}
	return true
}
