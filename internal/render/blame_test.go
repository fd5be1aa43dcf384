package render

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/sandbox"
)

// A victim is a child that is killed from outside when it is asked about a name, as
// often as times says.
type victim struct {
	Child
	name  string
	times *int
}

// Write implements io.Writer.
func (v victim) Write(p []byte) (int, error) {
	if *v.times > 0 && bytes.Contains(p, []byte(v.name)) {
		*v.times--
		if err := killChildren(); err != nil {
			return 0, err
		}
	}
	return v.Child.Write(p)
}

// killChildren kills all children of this process.
func killChildren() error {
	threads, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		children, err := os.ReadFile(thread)
		if err != nil {
			return err
		}
		for child := range strings.FieldsSeq(string(children)) {
			pid, err := strconv.Atoi(child)
			if err != nil {
				return err
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				return err
			}
		}
	}
	return nil
}

// A child that is killed once is nobody's mistake. One that dies twice of the same is a
// problem of that, which is remembered, and all else is rendered.
func TestDeaths(t *testing.T) {
	tests := []struct {
		name, of string
		times    int
		want     string // the problem; empty: none
		rest     int    // objects
	}{
		{"once, at a file", "boxes/v.yaml", 1, "", 3},
		{"twice, at a file", "boxes/v.yaml", 2, "boxes/v.yaml:1: evaluation ended twice (signal: killed", 2},
		{"once, at a spec", "SpecID", 1, "", 3},
		{"once, at the kinds", "kinds/kinds.cue", 1, "", 3},
		{"twice, at the kinds", "kinds/kinds.cue", 2, "kinds: evaluation ended twice", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree := common(t)
			tree["boxes/v.yaml"] = boxYAML("v", 2)
			tree["boxes/b.yaml"] = boxYAML("b", 2)
			tree["users/u.yaml"] = userYAML("u", "b")
			times := tt.times
			r, err := New(Options{Child: func(ctx context.Context) (Child, error) {
				c, err := sandbox.Host{}.Start(ctx, sandbox.Limits{})
				return victim{c, tt.of, &times}, err
			}})
			if err != nil {
				t.Fatal(err)
			}
			out := render(t, r, tree)
			if times != 0 {
				t.Fatalf("%d deaths are left", times)
			}
			var said []string
			for _, p := range out.Problems {
				said = append(said, p.String())
			}
			if tt.want == "" && len(said) > 0 || tt.want != "" && (len(said) != 1 || !strings.HasPrefix(said[0], tt.want)) {
				t.Errorf("problems %q, want %q", said, tt.want)
			}
			if len(out.Objects) != tt.rest {
				t.Errorf("%d objects, want %d", len(out.Objects), tt.rest)
			}
			r.evaluate = counters{}
			// What is wrong with a whole tree is remembered by the tree's id, which this has not.
			if render(t, r, tree); tt.rest > 0 && tt.want != "" && r.evaluate.files+r.evaluate.completions > 0 {
				t.Errorf("evaluated again: %+v", r.evaluate)
			}
		})
	}
}

// That no child can be started is a machine's fault, whatever there is to evaluate.
func TestNoChild(t *testing.T) {
	none := errors.New("no such program")
	r, err := New(Options{Child: func(context.Context) (Child, error) { return nil, none }})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := r.Render(t.Context(), core.Tree{FS: common(t)}); !errors.Is(err, none) {
		t.Errorf("problems %v, error %v; want %v", out.Problems, err, none)
	}
}

// taken is a child that was taken over: it answers what it likes.
type taken struct {
	io.Reader
	io.Writer
	end func()
}

// Close implements Child.
func (c taken) Close() { c.end() }

// Do implements Child.
func (c taken) Do(_ context.Context, exchange func() error) error {
	if err := exchange(); err != nil {
		c.end()
		return culprit{err}
	}
	return nil
}

type culprit struct{ error }

func (culprit) Culprit() {}

// takeOver starts such a child. Each answer goes through forge, which writes another
// one itself, and the last, if it returns false.
func takeOver(forge func(*answer, io.Writer) bool) Child {
	questions, ask := io.Pipe()
	answers, say := io.Pipe()
	end := func() { ask.Close(); answers.Close() }
	go func() {
		err := serveForged(questions, say, forge)
		say.CloseWithError(err)
		questions.CloseWithError(err)
	}()
	return taken{answers, ask, end}
}

func serveForged(in io.Reader, out io.Writer, forge func(*answer, io.Writer) bool) error {
	loader, err := loadBuiltin()
	if err != nil {
		return err
	}
	s := &server{in: gob.NewDecoder(in), out: gob.NewEncoder(out)}
	var first question
	if err := s.in.Decode(&first); err != nil {
		return err
	}
	first.Basis.read = s.fetch
	sh, problems := loader.load(first.Basis)
	if sh == nil {
		return fmt.Errorf("%v", problems)
	}
	if err := s.out.Encode(answer{Path: sh.path}); err != nil {
		return err
	}
	for {
		var q question
		if err := s.in.Decode(&q); err != nil {
			return err
		}
		a := sh.answer(context.Background(), q)
		if !forge(&a, out) {
			return io.EOF
		}
		if err := s.out.Encode(a); err != nil {
			return err
		}
	}
}

// Whatever a child answers that was taken over, the process that asked goes on, and
// what is wrong is told of what the child was at.
func TestForgedAnswers(t *testing.T) {
	ofUnit := func(forge func(*unit)) func(*answer, io.Writer) bool {
		return func(a *answer, _ io.Writer) bool {
			for _, u := range a.Says.Units {
				forge(u)
			}
			return true
		}
	}
	ofOutcome := func(forge func(*outcome)) func(*answer, io.Writer) bool {
		return ofUnit(func(u *unit) {
			if u.Outcome != nil {
				forge(u.Outcome)
			}
		})
	}
	configMap := func(name string, labels map[string]any) map[string]any {
		return map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "labels": labels}}
	}
	deep := append(bytes.Repeat([]byte{packedList, 1}, 1_000_000), packedNull)
	tests := map[string]func(*answer, io.Writer) bool{
		"garbage": func(_ *answer, out io.Writer) bool {
			_, _ = out.Write(bytes.Repeat([]byte{0xff}, 100))
			return false
		},
		"a ref that leads nowhere":    ofUnit(func(u *unit) { u.Spec.Refs = append(u.Spec.Refs, core.SpecID{Kind: "Box", Name: "none"}) }),
		"facts that are none":         ofUnit(func(u *unit) { u.Facts = packed("x") }),
		"a longer list than there is": ofUnit(func(u *unit) { u.Facts = packed{packedList, 0xff, 0xff, 0xff, 0xff, 0x0f} }),
		"a longer text than there is": ofUnit(func(u *unit) { u.Facts = packed{packedString, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1} }),
		"data without a bottom":       ofUnit(func(u *unit) { u.In = deep }),
		"a mistake of others": ofUnit(func(u *unit) {
			u.Problems = []core.Problem{{Spec: core.SpecID{Kind: "Box", Name: "other"}, Msg: "x"}}
		}),
		"objects without fields":    ofOutcome(func(o *outcome) { o.Fields = nil }),
		"fields without a bottom":   ofOutcome(func(o *outcome) { o.Fields = deep }),
		"fields that are no object": ofOutcome(func(o *outcome) { o.Objects, o.Expects, o.Fields = o.Objects[:1], nil, packed(nil).pack("x") }),
		"fields of other objects": ofOutcome(func(o *outcome) {
			o.Objects, o.Expects, o.Fields = o.Objects[:1], nil, packed(nil).pack(configMap("other", nil))
		}),
		"our own marks": ofOutcome(func(o *outcome) {
			o.Objects, o.Expects = o.Objects[:1], nil
			o.Fields = packed(nil).pack(configMap(o.Objects[0].ID.Name, map[string]any{"prumo.dev/owner": "lab"}))
		}),
		"fields of another shape": ofOutcome(func(o *outcome) { o.Objects[0].Fields = map[string]any{"x": complex(1, 1)} }),
		"an object of others":     ofOutcome(func(o *outcome) { o.Objects[0].Spec.Name = "other" }),
		"a wait for what nothing is": ofOutcome(func(o *outcome) {
			o.Objects[0].Ready = []core.Ready{{Equals: complex(1, 1)}}
		}),
		"no outcome": func(a *answer, _ io.Writer) bool { a.Outcome = nil; return true },
	}
	for name, forge := range tests {
		t.Run(name, func(t *testing.T) {
			tree := common(t)
			tree["boxes/b.yaml"] = boxYAML("b", 2)
			tree["users/u.yaml"] = userYAML("u", "b")
			r, err := New(Options{Child: func(context.Context) (Child, error) { return takeOver(forge), nil }})
			if err != nil {
				t.Fatal(err)
			}
			out := render(t, r, tree)
			if len(out.Problems) == 0 {
				t.Errorf("no problems, and %d objects", len(out.Objects))
			}
			for _, p := range out.Problems {
				if p.Pos.File != "boxes/b.yaml" && p.Pos.File != "users/u.yaml" {
					t.Errorf("problem %s", p)
				}
			}
		})
	}
}
