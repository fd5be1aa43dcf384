package cluster

import (
	"reflect"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// verdictsPerObject bounds what is remembered of one object: what the branch
// wants of it, and what a pull request does.
const verdictsPerObject = 2

// A subject is what a spec wants of one object.
type subject struct {
	fields map[string]any // of the core.Object
	ignore []objpath.Path // of the same
	wants  digest         // of the same
	spec   core.SpecID
}

func subjectOf(o core.Object) subject { return subject{o.Fields, o.Ignore, fieldsDigest(o), o.Spec} }

// A verdict is what the server said, when asked, of what a spec wants of one
// live object.
type verdict struct {
	subject
	live digest // of the live object that it was said of

	// outcome is nil if the object is in sync: the verdict then holds while live
	// does. Any other holds for one resourceVersion only.
	outcome *core.Observed
	until   time.Time // it is asked again after that
}

// about reports whether a subject is what o wants. A rendering is never changed, so
// that one map is one wish, but for the rules; only others must be hashed.
func (s *subject) about(o core.Object) bool {
	if s.spec != o.Spec {
		return false
	}
	if reflect.ValueOf(s.fields).UnsafePointer() == reflect.ValueOf(o.Fields).UnsafePointer() &&
		reflect.DeepEqual(s.ignore, o.Ignore) {
		return true
	}
	if fieldsDigest(o) != s.wants {
		return false
	}
	s.fields, s.ignore = o.Fields, o.Ignore
	return true
}

// A memory holds verdicts and snags. It is guarded by the lock of its Watched.
type memory struct {
	every    time.Duration
	verdicts map[core.ObjectID][]*verdict
	snags    map[core.ObjectID][]*snag
	sent     map[core.ObjectID]sent
	failed   map[core.ObjectID]bool         // could not be applied when last tried
	wishes   map[core.ObjectID]*core.Object // what the last pass wants; replaced as a whole
}

// sent is the manifest of an object as the last observation had it: if that is
// what is applied, the answer is as good as a dry-run.
type sent struct {
	object   core.Object
	manifest digest
}

func newMemory(every time.Duration) *memory {
	return &memory{
		every: every, verdicts: map[core.ObjectID][]*verdict{}, snags: map[core.ObjectID][]*snag{},
		sent: map[core.ObjectID]sent{}, failed: map[core.ObjectID]bool{},
	}
}

// find returns the verdict about what o wants of a live object, or nil.
func (m *memory) find(o core.Object, r *record) *verdict {
	all := m.verdicts[o.ID]
	for i, v := range all {
		current := v.live == r.digest && (v.outcome == nil || versionOf(v.outcome.Live) == r.version)
		if current && v.about(o) {
			copy(all[1:i+1], all[:i]) // the one in use goes first
			all[0] = v
			return v
		}
	}
	return nil
}

// stale returns the last verdict about what o wants that found it different, even
// if the object has changed since; nil if there is none.
func (m *memory) stale(o core.Object) *verdict {
	for _, v := range m.verdicts[o.ID] {
		if v.outcome != nil && v.about(o) {
			return v
		}
	}
	return nil
}

// told is the outcome of a verdict, for a pass.
func (v *verdict) told(p *pass, o core.Object) core.Observed {
	known := *v.outcome
	known.Object, known.Spec = o, p.specs[o.Spec]
	return known
}

// knows reports whether an object with this digest is in sync with anything that
// is wanted of it.
func (m *memory) knows(id core.ObjectID, live digest) bool {
	return slices.ContainsFunc(m.verdicts[id], func(v *verdict) bool { return v.outcome == nil && v.live == live })
}

// observed remembers what a dry-run said of one of our objects. What the server
// refuses is no verdict: see snag.
func (m *memory) observed(o core.Observed) (synced bool) {
	if !o.Ours || o.Blocked != "" || o.Unchecked != "" {
		delete(m.verdicts, o.Object.ID)
		return false
	}
	v := m.verdict(o.Object, digestOf(o.Live))
	if !inSync(o) {
		v.outcome = &o
	}
	m.add(o.Object.ID, v)
	return v.outcome == nil
}

// applied remembers that the server made after of a manifest, if that is the one
// that was observed last, or why it made nothing.
func (m *memory) applied(manifest, after map[string]any, err error) {
	id := idOf(manifest)
	s, ok := m.sent[id]
	same := ok && s.manifest == manifestDigest(manifest)
	if err != nil {
		m.failed[id] = true
		m.baulked(s.object, manifest, err)
		return
	}
	delete(m.failed, id)
	delete(m.snags, id)
	if same {
		m.add(id, m.verdict(s.object, digestOf(after)))
	}
}

// verdict is that the live object, of this digest, is in sync with what o wants.
func (m *memory) verdict(o core.Object, d digest) *verdict {
	return &verdict{subject: subjectOf(o), live: d, until: m.due()}
}

// due is when what is learned now is verified: about every, in batches, so that most
// passes have nothing to verify.
func (m *memory) due() time.Time { return time.Now().Add(between(m.every)).Truncate(m.every / 32) }

func (m *memory) add(id core.ObjectID, v *verdict) {
	all := slices.DeleteFunc(m.verdicts[id], func(old *verdict) bool { return old.spec == v.spec && old.wants == v.wants })
	all = slices.Insert(all, 0, v)
	m.verdicts[id] = all[:min(len(all), verdictsPerObject)]
}

// doubt makes all that is known of a kind due to be verified.
func (m *memory) doubt(kind schema.GroupKind) {
	for id, all := range m.verdicts {
		if id.Group == kind.Group && id.Kind == kind.Kind {
			for _, v := range all {
				v.until = time.Time{}
			}
		}
	}
}

// manifestDigest hashes a manifest without what an apply adds to it.
func manifestDigest(manifest map[string]any) digest {
	m := settled(manifest)
	delete(m["metadata"].(map[string]any), "uid")
	return fieldsDigest(core.Object{Fields: m})
}

// noLook stands for a live object that is in sync, and for what the server would make
// of it: nobody needs to look, and thousands of them would be most of what is held.
var noLook = map[string]any{}
