package images

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/test/cluster/clustertest"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

// newDocuments is a cluster that remembers nothing yet.
func newDocuments(t *testing.T) *mortal {
	t.Helper()
	live := must(cluster.New(clustertest.Shared(t).Config(), "lab"))(t)
	return &mortal{Documents: live.Documents(clustertest.Namespace(t))}
}

var errKilled = errors.New("killed")

// A mortal is a real document store that counts what it saves, and whose process
// dies at a save, before it or after it, if it does.
type mortal struct {
	Documents
	saved  []string
	dies   int // counted from 1; 0: never
	before bool
}

func (m *mortal) Save(ctx context.Context, name string, data []byte, version string) (string, error) {
	m.saved = append(m.saved, name)
	dies := m.dies > 0 && len(m.saved) >= m.dies
	if dies && (m.before || len(m.saved) > m.dies) {
		return "", errKilled
	}
	version, err := m.Documents.Save(ctx, name, data, version)
	if dies {
		return "", errKilled
	}
	return version, err
}

// A shelf is a registry with two versions of a tag for each document, any of which
// the policy lets in: what is let in depends on what is remembered alone.
type shelf struct {
	*world
	tags   []string
	images [2][]v1.Image
	policy *core.ImagePolicy
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{world: newWorld(t)}
	s.policy = &core.ImagePolicy{Rules: []core.ImageRule{{Match: s.host + "/ml/*"}}}
	for n := 0; len(s.tags) < shards; n++ {
		if tag := fmt.Sprintf("%s/ml/app:%d", s.host, n); shardOf(tag) == len(s.tags) {
			s.tags = append(s.tags, tag)
		}
	}
	for version := range s.images {
		for range s.tags {
			img := must(random.Image(64, 1))(t)
			s.images[version] = append(s.images[version], img)
			s.policy.Rules[0].Digests = append(s.policy.Rules[0].Digests, must(img.Digest())(t).String())
		}
	}
	s.move(0)
	return s
}

// move has all tags name a version.
func (s *shelf) move(version int) {
	s.t.Helper()
	for i, tag := range s.tags {
		if err := remote.Write(must(name.NewTag(tag))(s.t), s.images[version][i]); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *shelf) start(docs Documents) *Verifier {
	s.t.Helper()
	return newVerifier(s.t, Options{Documents: docs, Policy: policyOf(s.policy)})
}

// want is a spec for each tag.
func (s *shelf) want() (r core.Rendering) {
	for i, tag := range s.tags {
		spec := core.SpecID{Kind: "App", Name: fmt.Sprint(i)}
		r.Specs = append(r.Specs, core.Spec{ID: spec})
		r.Objects = append(r.Objects, core.Object{ID: core.ObjectID{Kind: "Pod", Name: spec.Name}, Spec: spec,
			Fields: map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"image": tag}}}}})
	}
	return r
}

// versions says which version of each tag a rendering runs, such as 00100001.
func (s *shelf) versions(r core.Rendering) string {
	s.t.Helper()
	if len(r.Problems) > 0 {
		s.t.Fatal(r.Problems)
	}
	var runs strings.Builder
	for i, u := range Find(r.Objects, nil) {
		version := slices.IndexFunc(s.images[:], func(all []v1.Image) bool {
			return strings.HasSuffix(u.Image, "@"+must(all[i].Digest())(s.t).String())
		})
		fmt.Fprint(&runs, version)
	}
	return runs.String()
}

// TestKilledAmongPins kills the process at each document that it writes, before and
// after, and has every tag moved: what is written down stays what it was, and what is
// not was never applied.
func TestKilledAmongPins(t *testing.T) {
	s := newShelf(t)
	for at := 1; at <= shards; at++ {
		for _, before := range []bool{true, false} {
			s.move(0)
			docs := newDocuments(t)
			docs.dies, docs.before = at, before
			v := s.start(docs)
			must(v.Pin(t.Context(), tree(), s.want()))(t)
			if err := v.Keep(t.Context(), core.Rendering{}); !errors.Is(err, errKilled) {
				t.Fatalf("killed at %d: %v", at, err)
			}
			s.move(1)
			written := at
			if before {
				written--
			}
			want := strings.Repeat("0", written) + strings.Repeat("1", shards-written)
			v = s.start(docs.Documents)
			if got := s.versions(must(v.Pin(t.Context(), tree(), s.want()))(t)); got != want {
				t.Errorf("killed at %d, before: %t: runs %s, want %s", at, before, got, want)
			}
			if err := v.Keep(t.Context(), core.Rendering{}); err != nil {
				t.Fatal(err)
			}
			s.move(0)
			if got := s.versions(must(s.start(docs.Documents).Recall(t.Context(), tree(), s.want()))(t)); got != want {
				t.Errorf("killed at %d, before: %t, and once more: recalls %s, want %s", at, before, got, want)
			}
		}
	}
}

// TestTwoKeepers has two processes let in what a tag was before and after it moved:
// the first that writes it down counts, and the other learns of it before it applies
// anything.
func TestTwoKeepers(t *testing.T) {
	s, docs := newShelf(t), newDocuments(t)
	one, two := s.start(docs), s.start(docs)
	must(one.Pin(t.Context(), tree(), s.want()))(t)
	must(two.Recall(t.Context(), tree(), core.Rendering{}))(t) // has read that there is nothing
	if err := one.Keep(t.Context(), core.Rendering{}); err != nil {
		t.Fatal(err)
	}
	s.move(1)
	must(two.Pin(t.Context(), tree(), s.want()))(t)
	if err := two.Keep(t.Context(), core.Rendering{}); !errors.Is(err, cluster.ErrChanged) {
		t.Fatalf("%v, want that it changed", err)
	}
	for _, v := range []*Verifier{one, two} {
		docs.saved = nil
		if got := s.versions(must(v.Pin(t.Context(), tree(), s.want()))(t)); got != strings.Repeat("0", shards) {
			t.Errorf("runs %s", got)
		}
		if err := v.Keep(t.Context(), core.Rendering{}); err != nil || len(docs.saved) > 0 {
			t.Errorf("%v, saved %v", err, docs.saved)
		}
	}
}

// pinned are pins of n images that have names of a usual length.
func pinned(what string, n int) map[string]pin {
	all := make(map[string]pin, n)
	for i := range n {
		all[fmt.Sprintf("registry.lab.example/groups/%s:1.2.%d", what, i)] = pin{
			Digest: fmt.Sprintf("sha256:%s%056d", fmt.Sprintf("%08x", len(what)), i), Rules: []string{keyOf(core.ImageRule{Match: what})}}
	}
	return all
}

func all(p *pins) map[string]pin {
	found := map[string]pin{}
	for i := range p.shards {
		maps.Copy(found, p.shards[i].images)
	}
	return found
}

// TestPinsFit keeps what 10,000 images were let in as, and then what changes alone.
func TestPinsFit(t *testing.T) {
	docs := newDocuments(t)
	p := &pins{docs: docs}
	want := pinned("app", 10_000)
	for _, step := range []struct {
		name  string
		fresh map[string]pin
		saves int
	}{{"all", want, shards}, {"nothing new", want, 0}, {"one more", pinned("other", 1), 1}} {
		docs.saved = nil
		if err := p.load(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.fresh = step.fresh
		if err := p.keep(t.Context(), nil); err != nil || len(docs.saved) != step.saves {
			t.Errorf("%s: %v, saved %v, want %d documents", step.name, err, docs.saved, step.saves)
		}
	}
	again := &pins{docs: docs}
	if err := again.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	maps.Copy(want, pinned("other", 1))
	if diff := cmp.Diff(want, all(again)); diff != "" {
		t.Errorf("(-want +got)\n%.2000s", diff)
	}
}

// TestPinsForget uses more tags in its life than there is room for: what is in force
// stays, and so does what is new.
func TestPinsForget(t *testing.T) {
	docs := newDocuments(t)
	p := &pins{docs: docs}
	inForce, runs := pinned("first", 100), map[string]bool{}
	for _, it := range inForce {
		runs[it.Digest] = true
	}
	p.fresh = maps.Clone(inForce)
	for i := range 6 {
		maps.Copy(p.fresh, pinned(strings.Repeat("x", i+6), 10_000))
		if err := errors.Join(p.load(t.Context()), p.keep(t.Context(), func() map[string]bool { return runs })); err != nil {
			t.Fatal(err)
		}
		p.fresh = map[string]pin{}
	}
	again := &pins{docs: docs}
	if err := again.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := all(again)
	for image, want := range pinned(strings.Repeat("x", 11), 10_000) {
		inForce[image] = want
	}
	for image := range inForce {
		if got[image].Digest == "" {
			t.Fatalf("%s is forgotten", image)
		}
	}
	if len(got) > 40_000 {
		t.Errorf("%d are remembered", len(got))
	}
	p.fresh = pinned("too many at once", 60_000)
	if err := p.keep(t.Context(), func() map[string]bool { return runs }); err == nil || !strings.Contains(err.Error(), "too many images are in use") {
		t.Errorf("%v, want that there are too many", err)
	}
}

// TestRulesOfPins bounds what is remembered of one image, and has it stay what it was
// the first time.
func TestRulesOfPins(t *testing.T) {
	var s shard
	for i := range 6 {
		s.add("app:1", pin{Digest: fmt.Sprint("digest ", i), Rules: []string{fmt.Sprint(i)}})
	}
	want := map[string]pin{"app:1": {Digest: "digest 0", Rules: []string{"5", "4", "3", "2"}}}
	if diff := cmp.Diff(want, s.images); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestPinsDeleted has people delete all that is remembered while a process runs: it
// writes down again what it knows.
func TestPinsDeleted(t *testing.T) {
	s, docs := newShelf(t), newDocuments(t)
	v := s.start(docs)
	must(v.Pin(t.Context(), tree(), s.want()))(t)
	if err := v.Keep(t.Context(), core.Rendering{}); err != nil {
		t.Fatal(err)
	}
	docs.Documents = newDocuments(t).Documents
	s.move(1)
	s.policy.Rules[0].Digests = append(s.policy.Rules[0].Digests, "sha256:"+strings.Repeat("0", 64)) // all is let in anew
	for _, want := range []error{cluster.ErrChanged, nil} {
		must(v.Pin(t.Context(), tree(), s.want()))(t)
		if err := v.Keep(t.Context(), core.Rendering{}); !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
	}
	if got := s.versions(must(s.start(docs).Recall(t.Context(), tree(), s.want()))(t)); got != strings.Repeat("0", shards) {
		t.Errorf("recalls %s", got)
	}
}

// TestBrokenPins has a document be anything but what we wrote: nothing is resolved
// anew, and nothing recalled.
func TestBrokenPins(t *testing.T) {
	s := newShelf(t)
	for name, text := range map[string]string{
		"no JSON": "images", "cut off": `{"app:1": {"digest": "sha256:`, "another digest": `{"app:1": {"digest": "sha256:abc", "rules": []}}`,
		"no digest": `{"app:1": {"rules": []}}`, "more than we know": `{"app:1": {"digest": "sha256:` + strings.Repeat("a", 64) + `", "rules": [], "also": 1}}`,
	} {
		docs := newDocuments(t)
		if _, err := docs.Save(t.Context(), document(3), []byte(text), ""); err != nil {
			t.Fatal(err)
		}
		v := s.start(docs)
		_, pinErr := v.Pin(t.Context(), tree(), s.want())
		_, recallErr := v.Recall(t.Context(), tree(), s.want())
		for _, err := range []error{pinErr, recallErr} {
			if err == nil || !strings.Contains(err.Error(), "document images-3") {
				t.Errorf("%s: %v, want an error about the document", name, err)
			}
		}
	}
}
