package proposals

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/forge"
)

// A house is every part that a planner needs. It notes what it is asked, in order.
type house struct {
	pulls    []forge.Pull
	listed   error
	propose  func(ref string) (core.Proposal, error)
	render   func(ctx context.Context) error
	comments map[int]string
	said     []string
	refused  bool // documents cannot be written
	saved    []byte
}

const base = "base"

func newHouse(pulls ...forge.Pull) *house { return &house{pulls: pulls, comments: map[int]string{}} }

func (h *house) say(format string, args ...any) {
	h.said = append(h.said, fmt.Sprintf(format, args...))
}

func (h *house) OpenPulls(context.Context) ([]forge.Pull, error) { return h.pulls, h.listed }
func (h *house) Pull(_ context.Context, number int) (forge.Pull, error) {
	return h.pulls[number], nil
}
func (h *house) PutComment(_ context.Context, number int, _, body string) (bool, error) {
	h.comments[number] = body
	return true, nil
}
func (h *house) SetStatus(context.Context, string, forge.Status) error { return nil }

func (h *house) With(_ context.Context, ref string, plan func(core.Proposal) error) error {
	h.say("fetch %s", ref)
	p := core.Proposal{Head: ref, Base: core.Revision{Commit: base}, Tree: core.Tree{Revision: core.Revision{Commit: "head"}}}
	p.Verdict.Commits = []core.CommitVerdict{{Commit: ref, Known: true}}
	var err error
	if h.propose != nil {
		if p, err = h.propose(ref); err != nil {
			return err
		}
	}
	return plan(p)
}

func (h *house) Render(ctx context.Context, tree core.Tree) (core.Rendering, error) {
	h.say("render %s", tree.Revision.Commit)
	if h.render != nil {
		return core.Rendering{}, h.render(ctx)
	}
	return core.Rendering{}, nil
}

func (h *house) Pin(_ context.Context, policy core.Tree, want core.Rendering) (core.Rendering, error) {
	h.say("pin by the policy of %s", policy.Revision.Commit)
	return want, nil
}

func (h *house) ObserveProposal(context.Context, core.Rendering, core.Rendering) (core.Observation, error) {
	h.say("ask the cluster")
	return core.Observation{}, nil
}

func (h *house) Pods(context.Context, core.PodQuery) ([]core.Pod, error) { return nil, nil }

func (h *house) Load(context.Context, string) ([]byte, string, error) { return h.saved, "", nil }
func (h *house) Save(_ context.Context, _ string, data []byte, _ string) (string, error) {
	if h.refused {
		return "", errors.New("no space left on device")
	}
	h.saved = data
	return "", nil
}

func (h *house) planner() *Planner {
	return &Planner{Instance: "lab", Ref: "refs/heads/main", Forge: h, Source: h, Renderer: h, Images: h, Cluster: h, Now: time.Now,
		InForce: func() *core.InForce {
			return &core.InForce{Tree: core.Tree{Revision: core.Revision{Commit: base}}}
		}}
}

func (h *house) worker(log *bytes.Buffer) *Worker {
	return &Worker{Planner: h.planner(), Attempts: NewAttempts(h), Interval: time.Minute, Log: slog.New(slog.NewTextHandler(log, nil))}
}

func pull(number int, author string) forge.Pull {
	return forge.Pull{Number: number, Author: author, HeadRef: fmt.Sprintf("b%d", number), HeadSHA: fmt.Sprintf("sha%d", number), BaseRef: "main", Open: true}
}

// A proposal that nobody known signed is compared with the repo: neither registry nor
// cluster is asked. The images of one that is signed are judged by the base's policy.
func TestWhoIsAsked(t *testing.T) {
	unsigned := core.Verdict{Commits: []core.CommitVerdict{{Known: true}, {}}, Refusal: &core.Refusal{Code: "E-UNSIGNED"}}
	unread := core.Verdict{Refusal: &core.Refusal{Code: "E-INTRODUCTION"}}
	signed := core.Verdict{Commits: []core.CommitVerdict{{Known: true}}, Refusal: &core.Refusal{Code: "E-PATH"}}
	for name, tt := range map[string]struct {
		verdict core.Verdict
		want    []string
	}{
		"one commit of several is unsigned": {unsigned, []string{"fetch refs/heads/b1", "render head"}},
		"no commit was looked at":           {unread, []string{"fetch refs/heads/b1", "render head"}},
		"signed by somebody without a right": {signed, []string{"fetch refs/heads/b1", "render head",
			"pin by the policy of base", "ask the cluster"}},
	} {
		h := newHouse()
		h.propose = func(string) (core.Proposal, error) {
			return core.Proposal{Base: core.Revision{Commit: base}, Verdict: tt.verdict, Tree: core.Tree{Revision: core.Revision{Commit: "head"}}}, nil
		}
		done, err := h.planner().Plan(t.Context(), pull(1, "mallory"))
		if err != nil || done.Fault != nil {
			t.Errorf("%s: %v, %v", name, err, done.Fault)
		}
		if diff := cmp.Diff(tt.want, h.said); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if offline := strings.Contains(h.comments[1], "**offline**"); offline == (len(tt.want) > 2) {
			t.Errorf("%s: offline %v:\n%s", name, offline, h.comments[1])
		}
	}
}

// What a pull request says of a fault holds nothing of the error, which is for the log.
// A plan that failed so is made again, later and later, until it succeeds.
func TestFaultsAreRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(pull(1, "ben"))
		fault := errors.New("dial tcp 10.1.2.3:6443: connection refused")
		h.render = func(context.Context) error { return fault }
		var log bytes.Buffer
		w := h.worker(&log)
		tries := func() int { return len(h.said) / 2 }
		_ = w.Round(t.Context())
		for _, wait := range []time.Duration{firstRetry, 2 * firstRetry, 4 * firstRetry} {
			before := tries()
			time.Sleep(wait - time.Second)
			if _ = w.Round(t.Context()); tries() != before {
				t.Errorf("tried again before %v", wait)
			}
			time.Sleep(time.Second)
			if _ = w.Round(t.Context()); tries() == before {
				t.Errorf("not tried again after %v", wait)
			}
		}
		if text := h.comments[1]; !strings.Contains(text, "could not be evaluated") || strings.Contains(text, "10.1.2.3") {
			t.Errorf("the comment says\n%s", text)
		}
		if !strings.Contains(log.String(), "10.1.2.3") {
			t.Errorf("the log does not say why:\n%s", &log)
		}
		h.render = nil
		time.Sleep(lastRetry)
		_ = w.Round(t.Context())
		before := tries()
		time.Sleep(time.Hour)
		if _ = w.Round(t.Context()); tries() != before {
			t.Error("planned again though nothing moved")
		}
	})
}

// A pull request is planned again when its head moves, and when what it is compared
// with does.
func TestWhatMovedIsPlanned(t *testing.T) {
	h := newHouse(pull(1, "ben"))
	w := h.worker(new(bytes.Buffer))
	inForce := base
	w.Planner.InForce = func() *core.InForce {
		return &core.InForce{Tree: core.Tree{Revision: core.Revision{Commit: inForce}}}
	}
	h.propose = func(ref string) (core.Proposal, error) {
		return core.Proposal{Head: ref, Base: core.Revision{Commit: inForce}}, nil
	}
	for _, step := range []struct {
		what string
		do   func()
		want int // fetches
	}{
		{"first", func() {}, 1},
		{"nothing moved", func() {}, 1},
		{"the head moved", func() { h.pulls[0].HeadSHA = "other" }, 2},
		{"the base moved", func() { inForce = "next" }, 3},
		{"it is closed", func() { h.pulls[0].Open = false }, 3},
		{"it is opened again", func() { h.pulls[0].Open = true }, 4},
		{"from a fork", func() { h.pulls[0].Fork, h.pulls[0].HeadSHA = true, "fork" }, 4},
		{"for another branch", func() { h.pulls[0].Fork, h.pulls[0].BaseRef = false, "release" }, 4},
	} {
		step.do()
		if err := w.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		fetched := 0
		for _, s := range h.said {
			if strings.HasPrefix(s, "fetch") {
				fetched++
			}
		}
		if fetched != step.want {
			t.Errorf("%s: %d plans, want %d", step.what, fetched, step.want)
		}
	}
}

// Whoever opens fifty pull requests waits for the others, not they for them.
func TestAuthorsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(pull(51, "ben"), pull(52, "cai"))
		for i := range 50 {
			h.pulls = append(h.pulls, pull(i+1, "mallory"))
		}
		var order []string
		h.propose = func(ref string) (core.Proposal, error) {
			order = append(order, strings.TrimPrefix(ref, "refs/heads/"))
			time.Sleep(40 * time.Second) // of a round that takes a minute
			return core.Proposal{Base: core.Revision{Commit: base}}, nil
		}
		w := h.worker(new(bytes.Buffer))
		for range 3 {
			if err := w.Round(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		first := map[string]bool{}
		for _, b := range order[:3] {
			first[b] = true
		}
		// The newest of mallory's, and all of the others'.
		if diff := cmp.Diff(map[string]bool{"b51": true, "b52": true, "b50": true}, first); diff != "" {
			t.Errorf("the order is %v", order)
		}
		if len(order) != 6 {
			t.Errorf("%d plans in three rounds of a minute, want 6: a round ends so that new heads are seen", len(order))
		}
	})
}

// A plan that takes too long ends, and the next one gets its turn.
func TestAPlanHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(pull(1, "mallory"))
		h.render = func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		start := time.Now()
		if err := h.worker(new(bytes.Buffer)).Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != planTime {
			t.Errorf("it took %v, want %v", took, planTime)
		}
	})
}

// A forge that sends us away is left alone until then.
func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(pull(1, "ben"))
		h.listed = &forge.RateLimited{Until: time.Now().Add(time.Hour)}
		w := h.worker(new(bytes.Buffer))
		if err := w.Round(t.Context()); err == nil {
			t.Error("no error")
		}
		h.listed = errors.New("asked too soon")
		if err := w.Round(t.Context()); err != nil {
			t.Error(err)
		}
		h.listed = nil
		time.Sleep(time.Hour)
		if err := w.Round(t.Context()); err != nil || len(h.said) == 0 {
			t.Errorf("%v, %v", err, h.said)
		}
	})
}

// A commit that ended the daemon twice is not planned a third time, by no daemon that
// starts; another commit is.
func TestWhatEndsTheDaemonIsNotTriedForEver(t *testing.T) {
	h := newHouse(pull(1, "mallory"))
	type killed struct{}
	h.render = func(context.Context) error { panic(killed{}) }
	starts := func() (died bool) {
		defer func() { died = recover() == any(killed{}) }()
		if err := h.worker(new(bytes.Buffer)).Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		return false
	}
	for i, want := range []bool{true, true, false, false} {
		if died := starts(); died != want {
			t.Errorf("start %d: died %v, want %v", i+1, died, want)
		}
	}
	if text := h.comments[1]; !strings.Contains(text, "has ended the daemon twice") {
		t.Errorf("the comment says\n%s", text)
	}
	h.pulls[0].HeadSHA = "another"
	if !starts() {
		t.Error("another commit was not tried")
	}
	h.render = nil
	h.pulls[0].HeadSHA = "good"
	for range 3 {
		if starts() {
			t.Error("a good commit died")
		}
	}
	if strings.Contains(string(h.saved), "good") {
		t.Errorf("a good commit is remembered: %s", h.saved)
	}
}

// What cannot be written down is not tried: it might end the daemon for ever.
func TestNothingIsTriedThatCannotBeRemembered(t *testing.T) {
	h := newHouse(pull(1, "mallory"))
	h.refused = true
	var log bytes.Buffer
	if err := h.worker(&log).Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(h.said) > 0 || !strings.Contains(log.String(), "no space left") {
		t.Errorf("it did %v and said %s", h.said, &log)
	}
}
