package trust

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

const heartbeatTag = "refs/tags/prumo-heartbeat"

// watched is a world whose trust file asks for a heartbeat of the last day.
func watched(t *testing.T) *world {
	w := newWorld(t, map[string]signer{"heart": newSigner(t), "old": newSigner(t)})
	w.repo = "{id: infra, ref: refs/heads/main}"
	w.extra = fmt.Sprintf("freshness: {heartbeatTag: %s, maxAge: 24h, signers: {heart: {keys: [{ssh: '%s'}, {ssh: '%s', notAfter: '2026-05-01T00:00:00Z'}]}}}\n",
		heartbeatTag, w.people["heart"].public, w.people["old"].public)
	return w
}

// A beat is one heartbeat. Fields left out get what it should have.
type beat struct {
	of         string        // commit
	ago        time.Duration // before noon
	by         string        // who signs it; "nobody" does not
	name, body string
}

// beat writes a heartbeat and returns the id of the tag.
func (w *world) beat(b beat) string {
	w.t.Helper()
	raw := fmt.Sprintf("object %s\ntype commit\ntag %s\ntagger H <h@lab.example> %d +0000\n\n%s", b.of,
		cmp.Or(b.name, "prumo-heartbeat"), noon.Add(-b.ago).Unix(), cmp.Or(b.body, w.anchor().HeartbeatBody(b.of)))
	if b.by != "nobody" {
		raw += w.people[cmp.Or(b.by, "heart")].sign([]byte(raw))
	}
	id := w.object("tag", []byte(raw))
	w.tags = map[string]string{heartbeatTag: id}
	return id
}

// fresh judges the heartbeat that the world shows with a tip.
func (w *world) fresh(before Heartbeat, tip string) (Heartbeat, *core.Refusal, error) {
	w.t.Helper()
	h, v := w.history(tip), w.verifier()
	shown, err := v.Beat(h)
	if err != nil {
		w.t.Fatal(err)
	}
	return v.Fresh(w.t.Context(), h, shown, before, tip)
}

// TestFresh shows a verifier that has seen a heartbeat of eleven another one.
func TestFresh(t *testing.T) {
	const hour = time.Hour
	for _, tt := range []struct {
		name   string
		before time.Duration // age of the newest until now; 0: an hour
		build  func(w *world, tip string)
		code   string
		found  string
		newest time.Duration // age after; 0: as before
	}{
		{name: "renewed", build: func(w *world, tip string) { w.beat(beat{of: tip, ago: hour / 2}) }, newest: hour / 2},
		{name: "of an older commit", build: func(w *world, _ string) { w.beat(beat{of: w.intro, ago: hour / 2}) }, newest: hour / 2},
		{name: "renewed after long", before: 48 * hour, build: func(w *world, tip string) { w.beat(beat{of: tip, ago: 23 * hour}) }, newest: 23 * hour},
		{name: "gone, the last is young enough", build: func(*world, string) {}},
		{name: "gone", before: 25 * hour, build: func(*world, string) {}, code: CodeStale, found: "the remote has no " + heartbeatTag},
		{name: "not renewed", before: 48 * hour, build: func(w *world, tip string) { w.beat(beat{of: tip, ago: 25 * hour}) }, code: CodeStale, found: "is not renewed", newest: 25 * hour},
		{name: "commits withheld", build: func(w *world, tip string) {
			newer := w.chain(tip, "ana", w.files)
			w.beat(beat{of: newer, ago: hour / 2})
		}, code: CodeStale, found: "does not contain", newest: hour / 2},
		{name: "backwards", build: func(w *world, tip string) { w.beat(beat{of: tip, ago: 2 * hour}) }, code: CodeHeartbeat, found: "shown again"},
		{name: "another of the same second", build: func(w *world, tip string) { w.beat(beat{of: tip, ago: hour}) }, code: CodeHeartbeat, found: "shown again"},
		{name: "from the future", build: func(w *world, tip string) { w.beat(beat{of: tip, ago: -hour}) }, code: CodeDate},
		{name: "unsigned", build: func(w *world, tip string) { w.beat(beat{of: tip, ago: hour / 2, by: "nobody"}) }, code: CodeHeartbeat, found: CodeUnsigned},
		{name: "by someone of the policy", build: func(w *world, tip string) { w.beat(beat{of: tip, ago: hour / 2, by: "ana"}) }, code: CodeHeartbeat, found: CodeKeyUnknown},
		{name: "by a key that has ended", build: func(w *world, tip string) { w.beat(beat{of: tip, ago: hour / 2, by: "old"}) }, code: CodeHeartbeat, found: CodeKeyExpired},
		{name: "under another name", build: func(w *world, tip string) { w.beat(beat{of: tip, ago: hour / 2, name: "v1"}) }, code: CodeHeartbeat, found: "another name"},
		{name: "of another repo", build: func(w *world, tip string) {
			w.beat(beat{of: tip, ago: hour / 2, body: strings.Replace(w.anchor().HeartbeatBody(tip), "infra", "other", 1)})
		}, code: CodeHeartbeat, found: "its text"},
		{name: "of another branch", build: func(w *world, tip string) {
			w.beat(beat{of: tip, ago: hour / 2, body: strings.Replace(w.anchor().HeartbeatBody(tip), "main", "dev", 1)})
		}, code: CodeHeartbeat, found: "its text"},
		{name: "lightweight", build: func(w *world, tip string) { w.tags = map[string]string{heartbeatTag: tip} }, code: CodeHeartbeat, found: "lightweight"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := watched(t)
			tip := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
			tt.build(w, tip)
			before := Heartbeat{Time: noon.Add(-cmp.Or(tt.before, hour)), Tag: idA}
			newest, refusal, err := w.fresh(before, tip)
			if err != nil {
				t.Fatal(err)
			}
			if (refusal == nil) != (tt.code == "") || refusal != nil && (refusal.Code != tt.code || !strings.Contains(refusal.Found, tt.found)) {
				t.Errorf("got %+v, want %s with %q", refusal, tt.code, tt.found)
			}
			if want := noon.Add(-cmp.Or(tt.newest, tt.before, hour)); !newest.Time.Equal(want) {
				t.Errorf("the newest is of %v, want %v", newest.Time, want)
			}
		})
	}
}

// TestFreshAgain: the tag that was seen last is no other one.
func TestFreshAgain(t *testing.T) {
	w := watched(t)
	id := w.beat(beat{of: w.intro, ago: time.Hour})
	before := Heartbeat{Time: noon.Add(-time.Hour), Tag: id}
	newest, refusal, err := w.fresh(before, w.intro)
	if err != nil || refusal != nil || newest != before {
		t.Errorf("got %+v, %+v, %v", newest, refusal, err)
	}
}

func TestFreshnessProblems(t *testing.T) {
	w := watched(t)
	good := w.extra
	for name, tt := range map[string]struct{ old, new, want string }{
		"tag":       {heartbeatTag, "prumo-heartbeat", "full name of a tag"},
		"age":       {"24h", "1s", "a minute or more"},
		"on stale":  {"maxAge: 24h", "maxAge: 24h, onStale: ignore", "freeze"},
		"no signer": {"signers: {", "signers: {}, onStale: freeze} #", "without one no heartbeat counts"},
		"no age":    {"maxAge: 24h, ", "", "maxAge"},
	} {
		text := fmt.Sprintf("apiVersion: prumo.dev/v1alpha1\nkind: TrustAnchor\nintroduction: %s\nrepo: %s\nroot: {threshold: 1, principals: {rita: {keys: [{ssh: '%s'}]}}}\n%s",
			w.intro, w.repo, w.people["rita"].public, strings.Replace(good, tt.old, tt.new, 1))
		if _, problems := ParseAnchor("trust.yaml", []byte(text)); len(problems) != 1 || !strings.Contains(problems[0].Msg, tt.want) {
			t.Errorf("%s: got %v, want one problem with %q", name, problems, tt.want)
		}
	}
}

// TestClock judges by clocks that were set back.
func TestClock(t *testing.T) {
	v := newWorld(t).verifier()
	for _, tt := range []struct {
		name  string
		state State
		code  string
	}{
		{"at the beginning", State{}, ""},
		{"as it should", State{Time: noon.Add(-time.Hour), Clock: noon}, ""},
		{"a little back", State{Clock: noon.Add(4 * time.Minute)}, ""},
		{"behind what was seen", State{Clock: noon.Add(6 * time.Minute)}, CodeClock},
		{"behind the last acceptance", State{Time: noon.Add(6 * time.Minute)}, CodeClock},
		{"behind a heartbeat", State{Heartbeat: Heartbeat{Time: noon.Add(6 * time.Minute)}}, CodeClock},
	} {
		if r := v.Clock(tt.state); (r == nil) != (tt.code == "") || r != nil && r.Code != tt.code {
			t.Errorf("%s: got %+v, want %q", tt.name, r, tt.code)
		}
	}
}

// TestNote: the time is written down once an hour, and never goes back.
func TestNote(t *testing.T) {
	v := newWorld(t).verifier()
	young := State{Binding: binding, Commit: idB, Commits: 1, PolicyVersion: 1, Time: noon.Add(-59 * time.Minute)}
	if got := v.Note(young, Heartbeat{}); !got.Clock.IsZero() {
		t.Errorf("after 59 minutes: the time %v is written down", got.Clock)
	}
	old := young
	old.Time = noon.Add(-time.Hour)
	if got := v.Note(old, Heartbeat{}); !got.Clock.Equal(noon) {
		t.Errorf("after an hour: got %v, want %v", got.Clock, noon)
	}
	s := open(t, t.TempDir()+"/accepted.json")
	if err := s.Accept(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	late := func(s State) State { s.Clock, s.Heartbeat.Time = noon, noon; return s }
	if err := s.Note(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	want, _ := s.Accepted()
	for name, f := range map[string]func(State) State{
		"clock":     func(s State) State { s.Clock = noon.Add(-1); return s },
		"heartbeat": func(s State) State { s.Heartbeat.Time = noon.Add(-1); return s },
		"commit":    func(s State) State { s.Commit = idA; return s },
		"left":      func(s State) State { s.Left = nil; return s },
	} {
		if err := s.Note(t.Context(), f); !errors.Is(err, ErrBackwards) {
			t.Errorf("%s: got %v, want ErrBackwards", name, err)
		}
	}
	next := second
	if err := s.Accept(t.Context(), next); !errors.Is(err, ErrBackwards) {
		t.Errorf("a next state without the time: got %v, want ErrBackwards", err)
	}
	if got, _ := s.Accepted(); gocmp.Diff(want, got) != "" {
		t.Errorf("the state changed to %+v", got)
	}
}
