package images

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
)

// pins remember what tags were resolved to, so that a tag that is moved in the
// registry changes nothing in the cluster: only a commit does.
type pins struct {
	file  string // empty: memory only
	kept  map[string]string
	fresh map[string]string // resolved by the last Pin, not kept yet
}

// maxPins bounds the file; a repo that used more tags in its life should use
// digests.
const maxPins = 50_000

func (p *pins) load() error {
	p.kept = map[string]string{}
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
	if err := json.Unmarshal(data, &p.kept); err != nil {
		return fmt.Errorf("%s: %w; delete the file, then each tag is resolved anew", p.file, err)
	}
	return nil
}

func (p *pins) get(image string) (string, bool) {
	pinned, ok := p.kept[image]
	return pinned, ok
}

// keep writes down what is new.
func (p *pins) keep() error {
	next := maps.Clone(p.kept)
	for image, pinned := range p.fresh {
		if _, ok := next[image]; !ok {
			next[image] = pinned
		}
	}
	p.fresh = nil
	if len(next) == len(p.kept) {
		return nil
	}
	if len(next) > maxPins {
		return fmt.Errorf("%s: more than %d tags were used; delete the file, then each is resolved anew", p.file, maxPins)
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
