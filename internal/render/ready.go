package render

import (
	"fmt"
	"strings"

	"cuelang.org/go/cue"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// readReady tells objects what their kind asks of them to be ready. An error is a
// mistake of the kind.
func readReady(v cue.Value, objects []core.Object) error {
	data, err := toGo(v.LookupPath(cue.ParsePath("ready")))
	if err != nil {
		return err
	}
	list, _ := data.([]any)
	for i, item := range list {
		m, _ := item.(map[string]any)
		field, _ := m["field"].(string)
		kind, at, _ := strings.Cut(field, " ")
		path, err := objpath.Parse(strings.TrimSpace(at))
		if err != nil {
			return fmt.Errorf("[%d].field: %q: want a kind and a path, such as PersistentVolume .status.phase: %w", i, field, err)
		}
		rule := objpath.Rule{Kind: kind, Path: path}
		message, _ := m["message"].(string)
		for j, o := range objects {
			if rule.Applies(o.ID.Group, o.ID.Kind) {
				objects[j].Ready = append(objects[j].Ready, core.Ready{Path: rule.Path, Equals: m["equals"], Message: message})
			}
		}
	}
	return nil
}
