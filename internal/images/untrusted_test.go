package images

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

// TestUntrusted lets an image in, and then has the policy refuse it: another key,
// another list of digests, no rule. A registry that is silent refuses nothing.
func TestUntrusted(t *testing.T) {
	key, other := newKey(t), newKey(t)
	for _, tt := range []struct {
		name   string
		change func(w *world, p *core.ImagePolicy)
		want   string // part of the reason; empty: it may go on
	}{
		{"nothing changed", func(*world, *core.ImagePolicy) {}, ""},
		{"the key is revoked", func(_ *world, p *core.ImagePolicy) { p.Rules[0].AllOf[0] = other.signer() }, "no valid signature"},
		{"a second signer is asked for", func(_ *world, p *core.ImagePolicy) { p.Rules[0].AllOf = append(p.Rules[0].AllOf, other.signer()) }, "no valid signature"},
		{"an attestation is asked for", func(_ *world, p *core.ImagePolicy) {
			p.Rules[0].Attestations = []string{"https://slsa.dev/provenance/v1"}
		}, "no valid attestation"},
		{"a list of other digests", func(w *world, p *core.ImagePolicy) {
			p.Rules[0] = core.ImageRule{Match: p.Rules[0].Match, Digests: []string{w.push("ml/other:1").DigestStr()}}
		}, "needed: a digest of the rule"},
		{"no rule", func(_ *world, p *core.ImagePolicy) { p.Rules = nil }, "no rule matches"},
		{"the registry is down", func(w *world, p *core.ImagePolicy) { p.Rules[0].AllOf[0] = other.signer(); w.server.Close() }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			it := w.push("ml/app:1")
			w.sign(key, it, it)
			policy := &core.ImagePolicy{Rules: []core.ImageRule{{Match: w.host + "/ml/*", AllOf: []core.ImageSigner{key.signer()}}}}
			v := newVerifier(t, Options{Policy: policyOf(policy)})
			let := must(v.Pin(t.Context(), tree(), deployment(w.host+"/ml/app:1")))(t)
			if len(let.Problems) > 0 {
				t.Fatal(let.Problems)
			}
			tt.change(w, policy)
			must(v.Pin(t.Context(), tree(), deployment(w.host+"/ml/app:1")))(t)
			pod := let.Objects[0]
			seen := core.Observed{Object: pod, Live: pod.Fields, Predicted: pod.Fields}
			got := must(v.Untrusted(t.Context(), tree(), []core.Observed{seen}))(t)
			switch u, is := got[pod.ID]; {
			case is != (tt.want != ""):
				t.Errorf("got %+v, want a reason with %q", got, tt.want)
			case is && (u.Absent || !strings.Contains(u.Reason, tt.want) || !strings.Contains(u.Reason, it.DigestStr()+`" of .spec.containers[0].image is refused by`)):
				t.Errorf("got %+v, want what runs, and %q", u, tt.want)
			}
		})
	}
}

// TestAbsent tells an image that runs from one that applying would bring in.
func TestAbsent(t *testing.T) {
	pod := func(images ...string) map[string]any {
		var containers []any
		for _, image := range images {
			containers = append(containers, map[string]any{"image": image})
		}
		return map[string]any{"spec": map[string]any{"containers": containers}}
	}
	brief := map[string]any{"metadata": map[string]any{"name": "app"}}
	for name, tt := range map[string]struct {
		live, predicted map[string]any
		want            bool
	}{
		"runs":                          {pod("bad"), pod("bad"), false},
		"in sync, not held in full":     {brief, brief, false},
		"runs beside a sidecar":         {pod("sidecar", "bad"), pod("sidecar", "bad"), false},
		"gone":                          {nil, pod("bad"), true},
		"another in its place":          {pod("good"), pod("bad"), true},
		"one of two":                    {pod("bad", "good"), pod("bad", "bad"), true},
		"another, and nothing is known": {pod("good"), nil, true},
		"runs, and nothing is known":    {pod("bad"), nil, false},
	} {
		o := core.Observed{Live: tt.live, Predicted: tt.predicted, Manifest: pod("bad")}
		if got := absent(o, map[string]bool{"bad": true}, nil); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// TestUntrustedGuess has the policy no longer declare where a custom resource has
// its image, so that nobody looks at it any more.
func TestUntrustedGuess(t *testing.T) {
	v := newVerifier(t, Options{Policy: policyOf(&core.ImagePolicy{})})
	o := core.Object{ID: core.ObjectID{Group: "ai.example", Kind: "Serve", Name: "x"}, Fields: map[string]any{"spec": map[string]any{"image": "a"}}}
	got := must(v.Untrusted(t.Context(), tree(), []core.Observed{{Object: o, Live: o.Fields, Predicted: o.Fields}}))(t)
	if diff := cmp.Diff([]core.ObjectID{o.ID}, slices.Collect(maps.Keys(got))); diff != "" || !strings.Contains(got[o.ID].Reason, ".spec.image of Serve.ai.example/x looks like an image") {
		t.Errorf("%v (-want +got)\n%s", got, diff)
	}
}
