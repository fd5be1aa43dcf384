package git

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// links is where a commit leads, read without judging it.
type links struct {
	tree    string
	parents []string
	when    int64 // committer date, seconds; as claimed
}

// looseLinks reads a commit as git does. It serves walks through history that
// was accepted before, or that nobody will be asked to obey; a commit that the
// strict grammar would read differently is refused by Commit.
func looseLinks(raw []byte) links {
	head, _, _ := strings.Cut(string(raw), "\n\n")
	var l links
	for line := range strings.SplitSeq(head, "\n") {
		key, value, _ := strings.Cut(line, " ")
		switch {
		case key == "tree" && l.tree == "" && isID(value):
			l.tree = value
		case key == "parent" && isID(value):
			l.parents = append(l.parents, value)
		case key == "committer" && l.when == 0:
			if fields := strings.Fields(value); len(fields) > 1 {
				l.when, _ = strconv.ParseInt(fields[len(fields)-2], 10, 64)
			}
		}
	}
	return l
}

func (r *Repo) links(id string) (links, error) {
	raw, err := r.store.read(id, plumbing.CommitObject, r.limits.CommitBytes)
	return looseLinks(raw), err
}

// hasCommit reports whether the store has the object and it is a commit.
func (s *store) hasCommit(id string) bool {
	h := plumbing.NewHash(id)
	s = s.layer(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.objs.EncodedObject(plumbing.CommitObject, h)
	return err == nil
}

// The colours of a walk.
type colour uint8

const (
	colourOld  colour = 1 << iota // reachable from the first commit
	colourNew                     // reachable from the second
	colourPast                    // below a common one
)

const colourBoth = colourOld | colourNew

// A visit is one commit seen by a walk.
type visit struct {
	id     string
	links  links
	colour colour
	queued bool
}

// A painter walks from two commits at once, newest first, and colours what each
// reaches. Dates may lie: a commit that gains a colour late is walked again.
type painter struct {
	repo  *Repo
	seen  map[string]*visit
	queue visitQueue
}

// paintFactor is how many commits a walk may see for each that it may return.
const paintFactor = 20

func (p *painter) paint(id string, c colour) error {
	v := p.seen[id]
	if v == nil {
		l, err := p.repo.links(id)
		if err != nil {
			return err
		}
		v = &visit{id: id, links: l}
		if p.seen[id] = v; len(p.seen) > paintFactor*p.repo.limits.Commits {
			return fmt.Errorf("more than %d commits to walk: %w", len(p.seen)-1, ErrLimit)
		}
	}
	if v.colour|c == v.colour {
		return nil
	}
	v.colour |= c
	if !v.queued {
		v.queued = true
		heap.Push(&p.queue, v)
	}
	return nil
}

// step takes the newest commit and paints its parents with its colours.
func (p *painter) step() (*visit, error) {
	v := heap.Pop(&p.queue).(*visit)
	v.queued = false
	for _, parent := range v.links.parents {
		if err := p.paint(parent, v.colour); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// Range returns the commits that are reachable from to and not from from,
// parents first; all history of to if from is empty. If to does not build on
// from, the error is ErrNotDescendant. Every returned commit is strictly parsed.
//
// Where committer dates lie by more than the range is old, a commit that from
// reaches may be returned too, never the other way around: what is judged may be
// too much, not too little.
func (r *Repo) Range(ctx context.Context, from, to string) ([]*Commit, error) {
	if from == to {
		_, err := r.Commit(to)
		return nil, err
	}
	p := &painter{repo: r, seen: map[string]*visit{}}
	if from != "" {
		if err := p.paint(from, colourOld); errors.Is(err, ErrNotFound) {
			return nil, fmt.Errorf("%s: %w of %s, which the remote no longer has", to, ErrNotDescendant, from)
		} else if err != nil {
			return nil, err
		}
	}
	if err := p.paint(to, colourNew); err != nil {
		return nil, err
	}
	oldest := p.seen[to].links.when
	for p.queue.needed(oldest) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		v, err := p.step()
		if err != nil {
			return nil, err
		}
		if v.colour == colourNew {
			oldest = min(oldest, v.links.when)
		}
	}
	if from != "" && p.seen[from].colour != colourBoth {
		return nil, fmt.Errorf("%s: %w of %s: history was rewritten or rewound", to, ErrNotDescendant, from)
	}
	return p.collect(ctx, to)
}

// collect parses the commits with only the new colour, parents first.
func (p *painter) collect(ctx context.Context, to string) ([]*Commit, error) {
	var out []*Commit
	done := map[string]bool{}
	for stack := []string{to}; len(stack) > 0; {
		id := stack[len(stack)-1]
		v := p.seen[id]
		if done[id] || v.colour != colourNew {
			stack = stack[:len(stack)-1]
			continue
		}
		depth := len(stack)
		for _, parent := range v.links.parents {
			if !done[parent] && p.seen[parent].colour == colourNew {
				stack = append(stack, parent)
			}
		}
		if len(stack) > depth {
			continue
		}
		stack = stack[:depth-1]
		done[id] = true
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(out) == p.repo.limits.Commits {
			return nil, fmt.Errorf("more than %d new commits: %w (commits)", len(out), ErrLimit)
		}
		c, err := p.repo.Commit(id)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// bases returns the best common ancestors of two commits: several after
// criss-cross merges.
func (r *Repo) bases(ctx context.Context, a, b string) ([]string, error) {
	p := &painter{repo: r, seen: map[string]*visit{}}
	if err := errors.Join(p.paint(a, colourOld), p.paint(b, colourNew)); err != nil {
		return nil, err
	}
	for p.queue.live() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		v := heap.Pop(&p.queue).(*visit)
		v.queued = false
		down := v.colour
		if down&colourBoth == colourBoth {
			down |= colourPast
		}
		for _, parent := range v.links.parents {
			if err := p.paint(parent, down); err != nil {
				return nil, err
			}
		}
	}
	var out []string
	for id, v := range p.seen {
		if v.colour == colourBoth {
			out = append(out, id)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s and %s: %w", a, b, ErrNoCommon)
	}
	return out, nil
}

// A visitQueue is a heap of visits, newest first.
type visitQueue []*visit

func (q visitQueue) Len() int           { return len(q) }
func (q visitQueue) Less(i, j int) bool { return q[i].links.when > q[j].links.when }
func (q visitQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *visitQueue) Push(v any)        { *q = append(*q, v.(*visit)) }
func (q *visitQueue) Pop() any {
	old := *q
	v := old[len(old)-1]
	*q = old[:len(old)-1]
	return v
}

// needed reports whether a range may still change: a new commit waits, or an
// old one that is young enough to reach a commit taken for new.
func (q visitQueue) needed(oldest int64) bool {
	if len(q) > 0 && q[0].links.when >= oldest {
		return true
	}
	for _, v := range q {
		if v.colour == colourNew {
			return true
		}
	}
	return false
}

// live reports whether a commit waits that is not below a common one.
func (q visitQueue) live() bool {
	for _, v := range q {
		if v.colour&colourPast == 0 {
			return true
		}
	}
	return false
}
