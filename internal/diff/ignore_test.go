package diff

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

func paths(t testing.TB, texts ...string) []objpath.Path {
	t.Helper()
	var out []objpath.Path
	for _, s := range texts {
		p, err := objpath.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

const shared = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: vision}
spec: {replicas: 2, selector: {matchLabels: {app: web}}, template: {spec: {containers: [{name: web, image: one}, {name: log, image: one}]}}}
`

// Whatever the server would make of an ignored field, it is no difference; what
// is beside it is.
func TestIgnoredIsNoDrift(t *testing.T) {
	o := fixture{
		want: shared, ours: true,
		live: `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: vision}
spec: {replicas: 7, selector: {matchLabels: {app: web}}, template: {spec: {containers: [{name: log, image: two}, {name: web, image: two}]}}}
`,
		predicted: shared,
	}.observed(t)
	o.Object.Ignore = paths(t, ".spec.replicas", ".spec.template.spec.containers[name=web].image")
	plan := Make(core.Revision{}, core.Observation{Objects: []core.Observed{o}}, Options{})
	var got []string
	for _, f := range one(t, plan).Fields {
		got = append(got, f.Path)
	}
	if diff := cmp.Diff([]string{".spec.template.spec.containers[name=log].image"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// An object that is made anew keeps what others wrote to fields that are theirs.
func TestReplaceKeepsIgnored(t *testing.T) {
	o := fixture{
		want: shared, ours: true, blocked: "field is immutable",
		live: `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: vision}
spec: {replicas: 7, selector: {matchLabels: {app: old}}}
`,
	}.observed(t)
	o.Object.Ignore = paths(t, ".spec.replicas", ".spec.paused")
	delete(dig(o.Manifest, "spec"), "replicas")
	c := one(t, Make(core.Revision{}, core.Observation{Objects: []core.Observed{o}}, Options{}))
	if c.Wanted != core.ActionReplace || dig(c.Manifest, "spec")["replicas"] != int64(7) {
		t.Errorf("%s of %v, want to replace with 7 replicas", c.Wanted, c.Manifest["spec"])
	}
	for _, f := range c.Fields {
		if f.Path == ".spec.replicas" {
			t.Errorf("the ignored field is a difference: %+v", f)
		}
	}
}

// Giving up is nobody's drift, and is in the hash.
func TestGiveUpIsOurs(t *testing.T) {
	o := fixture{want: shared, live: shared, predicted: shared, ours: true}.observed(t)
	o.Object.Ignore = paths(t, ".spec.replicas")
	o.GiveUp = o.Object.Ignore
	plan := Make(core.Revision{}, core.Observation{Objects: []core.Observed{o}}, Options{})
	r := core.Rendering{Objects: []core.Object{o.Object}}
	caused, drift := Split(plan, r, r, nil)
	if len(caused.Changes) != 1 || len(drift.Changes) != 0 || caused.Changes[0].Reason == "" {
		t.Errorf("caused %+v, drift %+v", caused.Changes, drift.Changes)
	}
	if plan.Hash == Make(core.Revision{}, core.Observation{}, Options{}).Hash {
		t.Error("the hash does not bind it")
	}
}
