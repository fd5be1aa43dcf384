package trust

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

// override signs the step from one revision to another as one of the roots.
func (w *world) override(from, to, key, name string, body string) {
	w.t.Helper()
	if body == "" {
		body = w.anchor().OverrideBody(from, to)
	}
	ref := OverrideRef(from, to, name)
	raw := fmt.Sprintf("object %s\ntype commit\ntag %s\ntagger A <a@lab.example> %d +0000\n\n%s",
		to, strings.TrimPrefix(ref, "refs/tags/"), noon.Unix(), body)
	if w.tags == nil {
		w.tags = map[string]string{}
	}
	w.tags[ref] = w.object("tag", []byte(raw+w.people[key].sign([]byte(raw))))
}

// overridden is the verdict on a step that Follow refuses, by the roots' tags.
func (w *world) overridden(h History, prev State, to string) core.Verdict {
	w.t.Helper()
	v := w.verifier()
	step, err := v.Follow(w.t.Context(), h, prev, to)
	if err != nil || v.OverrideTags(prev, step) == nil {
		w.t.Fatalf("%+v, %v; want what root principals can override", step.Verdict().Refusal, err)
	}
	if step, err = v.Override(w.t.Context(), h, prev, step); err != nil {
		w.t.Fatal(err)
	}
	return step.Verdict()
}

// TestOverride: a branch leaves an accepted revision only if the root threshold
// says so, and only for what could be obeyed anyway.
func TestOverride(t *testing.T) {
	both := func(w *world, from, to string) {
		w.override(from, to, "rita", "rita", "")
		w.override(from, to, "root2", "ruth", "")
	}
	for _, tt := range []struct {
		name  string
		build func(w *world, good, bad string) (from, to string)
		code  string
		found string
	}{
		{"back by two roots", func(w *world, good, bad string) (string, string) {
			both(w, bad, good)
			return bad, good
		}, "", ""},
		{"to a fork by two roots", func(w *world, good, bad string) (string, string) {
			fork := w.chain(good, "ana", w.files.with("one/x", "3"))
			both(w, bad, fork)
			return bad, fork
		}, "", ""},
		{"by default", func(w *world, good, bad string) (string, string) { return bad, good }, CodeRewritten, ""},
		{"by one root", func(w *world, good, bad string) (string, string) {
			w.override(bad, good, "rita", "rita", "")
			return bad, good
		}, CodeRewritten, ""},
		{"by one root under two names", func(w *world, good, bad string) (string, string) {
			w.override(bad, good, "rita", "rita", "")
			w.override(bad, good, "rita", "ruth", "")
			return bad, good
		}, CodeRewritten, "it was signed by rita"},
		{"by a root and someone of the policy", func(w *world, good, bad string) (string, string) {
			w.override(bad, good, "rita", "rita", "")
			w.override(bad, good, "ana", "ruth", "")
			return bad, good
		}, CodeRewritten, CodeKeyUnknown},
		{"of another step", func(w *world, good, bad string) (string, string) {
			both(w, good, w.intro)
			w.override(bad, w.intro, "rita", "rita", w.anchor().OverrideBody(good, w.intro))
			w.override(bad, w.intro, "root2", "ruth", w.anchor().OverrideBody(good, w.intro))
			return bad, w.intro
		}, CodeRewritten, "its text is not the one"},
		{"the other way around", func(w *world, good, bad string) (string, string) {
			fork := w.chain(good, "ana", w.files.with("one/x", "3"))
			both(w, fork, bad)
			return bad, fork
		}, CodeRewritten, ""},
		{"to a fork with an unsigned commit", func(w *world, good, bad string) (string, string) {
			fork := w.chain(good, "", w.files.with("one/x", "3"))
			both(w, bad, fork)
			return bad, fork
		}, CodeUnsigned, ""},
		{"to an unrelated history", func(w *world, good, bad string) (string, string) {
			other := w.commit(commit{by: "ana", files: w.files})
			both(w, bad, other)
			return bad, other
		}, CodeIntroduction, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := council(t)
			good := w.chain(w.intro, "ana", w.files.with("one/x", "1"))
			bad := w.chain(good, "ana", w.files.with("one/x", "2"))
			from, to := tt.build(w, good, bad)
			v := w.overridden(w.history(from, to), State{Commit: from}, to)
			checkVerdict(t, v, tt.code, "")
			if tt.code == CodeRewritten && (len(v.Override) > 0 || !strings.Contains(v.Refusal.Found, tt.found) ||
				!strings.Contains(v.Refusal.Remedy, "git tag -s -F - override/"+from+"/"+to+"/YOU "+to)) {
				t.Errorf("got %+v; want found %q and the command", v, tt.found)
			}
			if tt.code == "" && cmp.Diff([]string{"rita", "ruth"}, v.Override) != "" {
				t.Errorf("overridden by %v", v.Override)
			}
		})
	}
}

// TestOverrideIsStored: the store takes the step, and the way back is closed.
func TestOverrideIsStored(t *testing.T) {
	w := council(t)
	good := w.chain(w.intro, "ana", w.files.with("one/x", "1"))
	bad := w.chain(good, "ana", w.files.with("one/x", "2"))
	w.override(bad, good, "rita", "rita", "")
	w.override(bad, good, "root2", "ruth", "")
	h, v := w.history(good, bad), w.verifier()
	of := Binding{Repo: w.dir, Ref: "refs/heads/main", Introduction: w.intro}
	store, err := OpenStore(filepath.Join(t.TempDir(), "accepted.json"), of, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := advance(t, v, store, h, bad); err != nil {
		t.Fatal(err)
	}
	before, _ := store.Accepted()
	step, err := v.Follow(t.Context(), h, before, good)
	if err == nil {
		step, err = v.Override(t.Context(), h, before, step)
	}
	if err != nil {
		t.Fatal(err)
	}
	next, err := v.Next(t.Context(), h, before, step)
	if err != nil {
		t.Fatal(err)
	}
	want := State{Binding: of, Serial: 1, Commit: good, Payload: w.payload(good), Signer: "ana", Previous: bad, Commits: 3,
		PolicyVersion: 1, PolicySHA256: before.PolicySHA256, Time: noon, Instead: true, Left: []string{bad}}
	if diff := cmp.Diff(want, next); diff != "" {
		t.Errorf("next (-want +got):\n%s", diff)
	}
	plain := next
	plain.Instead = false
	if err := store.Accept(t.Context(), plain); !errors.Is(err, ErrBackwards) {
		t.Errorf("the same step without root: got %v, want ErrBackwards", err)
	}
	if err := store.Accept(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if err := advance(t, v, store, h, bad); err == nil || !strings.Contains(err.Error(), CodeLeft) {
		t.Errorf("the revision that was left: got %v, want %s", err, CodeLeft)
	}
	other := w.chain(good, "ana", w.files.with("one/x", "4"))
	same := w.commit(commit{on: []string{other, bad}, by: "ana", files: w.files.with("one/x", "4")})
	h = w.history(good, bad, other, same)
	if err := advance(t, v, store, h, same); err == nil || !strings.Contains(err.Error(), CodeLeft) {
		t.Errorf("a merge of the revision that was left: got %v, want %s", err, CodeLeft)
	}
	if err := advance(t, v, store, h, other); err != nil {
		t.Errorf("what builds on the good revision: %v", err)
	}
	if got, _ := store.Accepted(); cmp.Diff([]string{bad}, got.Left) != "" || got.Instead {
		t.Errorf("after the next commit: %+v; want it to remember what was left", got)
	}
}
