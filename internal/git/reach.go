package git

import (
	"context"
	"errors"
	"hash/maphash"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// A keptObject is one that stays when a store is packed anew.
type keptObject struct {
	id   plumbing.Hash
	base int32 // place in the list of one before it that is likely alike; -1: none
}

// reachable returns all objects of the store that some lead to, as git follows
// them. It judges none: what is malformed leads nowhere, and what the store does
// not have is passed over, as a hostile remote may have left it out. It takes about
// a hundred bytes of memory for each object.
func (s *store) reachable(ctx context.Context, roots []string) ([]keptObject, error) {
	r := &reacher{store: s, places: map[plumbing.Hash]int32{}, followed: map[plumbing.Hash]bool{},
		latest: map[uint64]int32{}, seed: maphash.MakeSeed()}
	for _, id := range roots {
		r.follow(plumbing.NewHash(id), 0)
	}
	for len(r.todo) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		next := r.todo[len(r.todo)-1]
		r.todo = r.todo[:len(r.todo)-1]
		if err := r.visit(next); err != nil {
			return nil, err
		}
	}
	return r.kept, nil
}

// A reacher walks through a store, newest commits first. It holds what is still to
// be followed in a list, not on the stack: hostile trees are deep.
type reacher struct {
	store    *store
	kept     []keptObject
	places   map[plumbing.Hash]int32 // in kept
	followed map[plumbing.Hash]bool  // commits, trees and tags; a file that is one of these is not
	latest   map[uint64]int32        // the last one that was kept, by where it lies
	seed     maphash.Seed
	todo     []step
}

// A step is an object that leads to others.
type step struct {
	id  plumbing.Hash
	key uint64 // of where a directory lies; the root's is 0
}

// key names a place: a directory by the key of the one above it and its name.
func (r *reacher) key(above uint64, name string) uint64 {
	return maphash.Comparable(r.seed, place{above, name})
}

type place struct {
	above uint64
	name  string
}

func (r *reacher) follow(h plumbing.Hash, key uint64) {
	if !r.followed[h] {
		r.followed[h] = true
		r.todo = append(r.todo, step{h, key})
	}
}

// keep puts an object on the list. What lay at the same place in a newer revision,
// or else at a place like it, is its base.
func (r *reacher) keep(h plumbing.Hash, keys ...uint64) {
	if _, ok := r.places[h]; ok {
		return
	}
	k := keptObject{id: h, base: -1}
	for _, key := range keys {
		if at, ok := r.latest[key]; ok && k.base < 0 {
			k.base = at
		}
	}
	at := int32(len(r.kept))
	for _, key := range keys {
		r.latest[key] = at
	}
	r.places[h] = at
	r.kept = append(r.kept, k)
}

// visit keeps an object and finds what it leads to.
func (r *reacher) visit(s step) error {
	typ, data, err := r.store.raw(s.id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	switch typ {
	case plumbing.CommitObject:
		r.keep(s.id)
		l := looseLinks(data)
		for _, parent := range l.parents {
			r.follow(plumbing.NewHash(parent), 0)
		}
		r.follow(plumbing.NewHash(l.tree), 0) // next of all, before older ones
	case plumbing.TagObject:
		r.keep(s.id)
		if t, err := parseTag(data); err == nil {
			r.follow(plumbing.NewHash(t.Object), 0)
		}
	case plumbing.TreeObject:
		r.keep(s.id, s.key)
		r.entries(data, s.key)
	default:
		r.keep(s.id)
	}
	return nil
}

// entries keeps the files of a directory and follows the directories in it.
func (r *reacher) entries(data []byte, dir uint64) {
	entries, _ := splitTree(data) // none if it is malformed
	for _, e := range entries {
		h := plumbing.NewHash(e.id)
		if strings.TrimLeft(e.mode, "0") == modeDir { // as git reads it
			r.follow(h, r.key(dir, e.name))
			continue
		}
		if _, ok := r.places[h]; !ok && e.mode != modeSubmodule && r.store.holds(h) {
			r.keep(h, r.key(dir, e.name), r.key(dir, "/"))
		}
	}
}
