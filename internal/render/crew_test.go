package render

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// crowd is a tree of more specs than one worker is hired for; some have a mistake.
func crowd(t *testing.T) fstest.MapFS {
	tree := common(t)
	for i := range 2 * muchWork {
		tree[fmt.Sprintf("boxes/b%d.yaml", i)] = boxYAML(fmt.Sprintf("b%d", i), 1+i%9) // 9 is a mistake
		tree[fmt.Sprintf("users/u%d.yaml", i)] = userYAML(fmt.Sprintf("u%d", i), fmt.Sprintf("b%d", i))
	}
	return tree
}

// Much work is shared out, and what comes of it does not depend on that.
func TestCrew(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	tree := crowd(t)
	tree["boxes/c.cue"] = &fstest.MapFile{Data: []byte(`package boxes

import "prumo.dev/schemas"

c: [for i in [1, 2] {schemas.#Envelope & {apiVersion: schemas.#APIVersion, kind: "Box", metadata: name: "c\(i)", spec: size: i}}]
`)}
	alone := print(render(t, newRenderer(t), tree))
	runtime.GOMAXPROCS(maxWorkers)
	if diff := cmp.Diff(alone, print(render(t, newRenderer(t), tree))); diff != "" {
		t.Errorf("%d workers render something else than one (-one +%[1]d):\n%s", maxWorkers, diff)
	}
}

// Workers share no kinds.
func TestCrewKinds(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	r := newRenderer(t)
	repo, _, err := scan(t.Context(), common(t), r.limits)
	if err != nil {
		t.Fatal(err)
	}
	b, problems := readBasis(repo)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var mu sync.Mutex
	var seen []evaluator
	two := make(chan struct{})
	meet := func(i int) task {
		return task{do: func(_ context.Context, e evaluator) (int, error) {
			mu.Lock()
			if len(seen) == 0 || len(seen) == 1 && seen[0] != e {
				if seen = append(seen, e); len(seen) == 2 {
					close(two)
				}
			}
			mu.Unlock()
			if i < muchWork {
				return 0, nil
			}
			select {
			case <-two:
			case <-time.After(time.Minute):
				t.Error("no second worker")
			}
			return 0, nil
		}}
	}
	c := &crew{staff: r.staff, basis: b, limit: r.limits.Bytes}
	if err := c.do(t.Context(), func(yield func(task) bool) {
		for i := range muchWork + 2 {
			yield(meet(i))
		}
	}); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 {
		t.Fatalf("workers %v, want two", seen)
	}
	if one, two := seen[0].(*shared), seen[1].(*shared); one.loader == two.loader || one.kinds["Box"] == two.kinds["Box"] {
		t.Error("workers share kinds")
	}
}
