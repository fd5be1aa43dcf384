package images

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"prumo.dev/prumo/internal/core"
)

// Documents keep small texts, each with a name. One is saved only over the version
// of it that was loaded; an empty version stands for a document that does not exist.
type Documents interface {
	Load(ctx context.Context, name string) (data []byte, version string, err error)
	Save(ctx context.Context, name string, data []byte, version string) (newVersion string, err error)
}

const (
	// shards is the number of documents that pins are spread over. All images that
	// one pass may use fit, however long their names are.
	shards = 8

	// maxShard bounds one document, in bytes. What no object in force has is
	// forgotten then.
	maxShard = 700 << 10

	// maxRules bounds the rules that are remembered of one image, the last ones.
	maxRules = 4
)

// pins remember which images were let in, so that a tag that is moved in the registry
// changes nothing in the cluster, and a restart does not take for applied what was
// refused. They are spread over documents by the hash of an image's name, so that
// a new image writes little, and each has one place.
type pins struct {
	docs   Documents // nil: memory only
	shards [shards]shard
	fresh  map[string]pin // of the last Pin, not kept yet
}

// A pin is what an image, as it is written, was let in as: the digest that it had
// the first time, and the rules under which that passed, the last one first.
type pin struct {
	Digest string   `json:"digest"`
	Rules  []string `json:"rules"` // see keyOf
}

// A shard is what one document holds.
type shard struct {
	images  map[string]pin
	version string
	loaded  bool
	unsaved bool
}

func shardOf(image string) int { return int(sha256.Sum256([]byte(image))[0]) % shards }

func document(i int) string { return fmt.Sprintf("images-%d", i) }

// keyOf tells rules apart by what they ask for.
func keyOf(rule core.ImageRule) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []any{rule.AllOf, rule.Attestations, rule.Digests}))
	return hex.EncodeToString(sum[:16])
}

// digest returns what an image was let in as the first time.
func (p *pins) digest(image string) (string, bool) {
	it, ok := p.shards[shardOf(image)].images[image]
	return it.Digest, ok
}

// letIn returns what an image was let in as under a rule.
func (p *pins) letIn(image string, rule core.ImageRule) (digest string, ok bool) {
	it := p.shards[shardOf(image)].images[image]
	return it.Digest, slices.Contains(it.Rules, keyOf(rule))
}

// load reads the documents that were not read yet. Where another process has let
// an image in meanwhile, what it found counts.
func (p *pins) load(ctx context.Context) error {
	for i := range p.shards {
		s := &p.shards[i]
		if s.loaded || p.docs == nil {
			continue
		}
		data, version, err := p.docs.Load(ctx, document(i))
		if err != nil {
			return fmt.Errorf("what images were let in as: %w", err)
		}
		stored, err := decode(data)
		if err != nil {
			return fmt.Errorf("what images were let in as: document %s: %w; restore it from a backup, or delete it: each of its tags is resolved anew then", document(i), err)
		}
		all := maps.Clone(s.images)
		if all == nil {
			all = map[string]pin{}
		}
		maps.Copy(all, stored)
		s.images, s.version, s.loaded, s.unsaved = all, version, true, len(all) > len(stored)
	}
	return nil
}

func decode(data []byte) (map[string]pin, error) {
	if len(data) == 0 {
		return nil, nil
	}
	var images map[string]pin
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&images); err != nil {
		return nil, err
	}
	for image, it := range images {
		if _, err := v1.NewHash(it.Digest); err != nil {
			return nil, fmt.Errorf("%q: %w", image, err)
		}
	}
	return images, nil
}

// keep writes down what is new. Of a document that is full, what inForce does not
// run is forgotten.
func (p *pins) keep(ctx context.Context, inForce func() map[string]bool) error {
	for image, it := range p.fresh {
		p.shards[shardOf(image)].add(image, it)
	}
	for i := range p.shards {
		if !p.shards[i].unsaved || p.docs == nil {
			continue
		}
		if err := p.save(ctx, i, inForce); err != nil {
			p.doubt()
			return fmt.Errorf("remember images: %w", err)
		}
	}
	p.fresh = nil
	return nil
}

// doubt has all documents loaded again: somebody else may have written to them.
func (p *pins) doubt() {
	for i := range p.shards {
		p.shards[i].loaded = false
	}
}

// save writes a document.
func (p *pins) save(ctx context.Context, i int, inForce func() map[string]bool) error {
	s := &p.shards[i]
	data, err := s.encode()
	if err == nil && len(data) > maxShard {
		runs := inForce()
		maps.DeleteFunc(s.images, func(image string, it pin) bool {
			_, isFresh := p.fresh[image]
			return !isFresh && !runs[it.Digest]
		})
		data, err = s.encode()
	}
	if err == nil && len(data) > maxShard {
		err = fmt.Errorf("document %s: %d bytes, want at most %d: too many images are in use", document(i), len(data), maxShard)
	}
	if err != nil {
		return err
	}
	version, err := p.docs.Save(ctx, document(i), data, s.version)
	if err != nil {
		return err
	}
	s.version, s.unsaved = version, false
	return nil
}

// add notes that an image was let in. What it was the first time it stays.
func (s *shard) add(image string, it pin) {
	if s.images == nil {
		s.images = map[string]pin{}
	}
	was, ok := s.images[image]
	if !ok {
		was = pin{Digest: it.Digest}
	}
	for _, rule := range it.Rules {
		if !slices.Contains(was.Rules, rule) {
			rules := slices.Insert(slices.Clone(was.Rules), 0, rule)
			was.Rules = rules[:min(len(rules), maxRules)]
			s.images[image], s.unsaved = was, true
		}
	}
}

// encode writes an image to a line, for people.
func (s *shard) encode() ([]byte, error) { return json.MarshalIndent(s.images, "", "") }
