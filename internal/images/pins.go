package images

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"prumo.dev/prumo/internal/core"
)

// pins remember what was let in, so that a tag that is moved in the registry
// changes nothing in the cluster, and a restart does not take for applied what
// was refused.
type pins struct {
	file  string // empty: memory only
	kept  memory
	fresh memory // of the last Pin, not kept yet
}

// A memory is what the file holds.
type memory struct {
	Tags    map[string]string   `json:"tags"`    // image -> repository@digest
	Objects map[string][]string `json:"objects"` // object -> its images when it was last let in
}

func newMemory() memory {
	return memory{Tags: map[string]string{}, Objects: map[string][]string{}}
}

// maxPins bounds the file; a repo that used more tags in its life should use
// digests.
const maxPins = 50_000

func (p *pins) load() error {
	p.kept = newMemory()
	if p.file == "" {
		return nil
	}
	data, err := os.ReadFile(p.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	read := newMemory()
	if err := json.Unmarshal(data, &read); err != nil {
		return fmt.Errorf("%s: %w; delete the file, then each tag is resolved anew", p.file, err)
	}
	maps.Copy(p.kept.Tags, read.Tags)
	maps.Copy(p.kept.Objects, read.Objects)
	return nil
}

// tag returns what a tag was resolved to when it was first applied.
func (p *pins) tag(image string) (string, bool) {
	pinned, ok := p.kept.Tags[image]
	return pinned, ok
}

// letIn reports whether an image is one of those that an object had when it was
// last let in.
func (p *pins) letIn(object core.ObjectID, image string) bool {
	return slices.Contains(p.kept.Objects[object.String()], image)
}

// keep writes down what is new.
func (p *pins) keep() error {
	next := memory{Tags: maps.Clone(p.kept.Tags), Objects: maps.Clone(p.kept.Objects)}
	for image, pinned := range p.fresh.Tags {
		if _, ok := next.Tags[image]; !ok {
			next.Tags[image] = pinned
		}
	}
	maps.Copy(next.Objects, p.fresh.Objects)
	p.fresh = newMemory()
	if maps.Equal(next.Tags, p.kept.Tags) && maps.EqualFunc(next.Objects, p.kept.Objects, slices.Equal) {
		return nil
	}
	if len(next.Tags)+len(next.Objects) > maxPins {
		return fmt.Errorf("%s: more than %d tags and objects were used; delete the file, then each is resolved anew", p.file, maxPins)
	}
	if p.file != "" {
		if err := replace(p.file, next); err != nil {
			return fmt.Errorf("remember images: %w", err)
		}
	}
	p.kept = next
	return nil
}

// replace writes a file whole or not at all.
func replace(file string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tmp := file + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}
