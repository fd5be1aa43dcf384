package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// maxPacks is how many packs a store may have before they are made one. Each look
// for an object goes through all of them.
const maxPacks = 50

// slack is how much may lie beside the largest pack whatever its size: there is
// nothing to win below it.
const slack = 64 << 20

// longestChain is how many deltas build on each other in a pack of ours; git's own
// number. An object at the end of a chain is read through all of it.
const longestChain = 50

// Crowded reports whether the store is worth a Repack: it has many packs, or the
// largest one, which is about what is reachable, is less than half of it.
func (r *Repo) Crowded() (bool, error) {
	u, err := r.store.usage()
	return u.packs > maxPacks || u.bytes > 2*u.largest+slack, err
}

// Repack points a fetched ref to the commit tip, or leaves it if tip is empty, and
// removes all that is not reachable from it, from the commits of also, or from the
// tags that were fetched last. Other fetched refs go, too. What is named and not in
// the store is passed over. It returns how many bytes the store is smaller.
//
// All that stays is written into one pack, which is read back and compared before
// the old ones go. Whenever the machine stops, all is there, in the old packs or in
// the new one. A Repack that fails leaves the objects as they were. While it writes,
// the store takes up to twice its size on disk. Reads go on meanwhile, fetches wait.
func (r *Repo) Repack(ctx context.Context, ref, tip string, also ...string) (freed int64, err error) {
	name, err := fullRef(ref)
	if err != nil {
		return 0, err
	}
	r.fetching.Lock()
	defer r.fetching.Unlock()
	defer func() {
		if err != nil {
			err = fmt.Errorf("pack the Git store %s anew: %w", r.dir, err)
		}
	}()
	if err := r.store.refresh(); err != nil {
		return 0, err
	}
	if tip != "" && r.store.hasCommit(tip) {
		err = r.store.setRef(privateRef(name), tip)
	}
	if err = errors.Join(err, r.store.keepRef(privateRef(name)), r.store.dropOrphans()); err != nil {
		return 0, err
	}
	roots, err := r.store.refs()
	if err != nil {
		return 0, err
	}
	roots = append(append(roots, also...), r.tagged()...)
	before, err := r.store.usage()
	if err != nil {
		return 0, err
	}
	if err := r.repack(ctx, roots); err != nil {
		return 0, err
	}
	after, err := r.store.usage()
	return before.bytes - after.bytes, err
}

// repack makes one pack of what is reachable from roots, unless there is one
// already that holds just that.
func (r *Repo) repack(ctx context.Context, roots []string) (err error) {
	old := r.store.known() // what another process brings meanwhile is none of them
	kept, err := r.store.reachable(ctx, roots)
	if err != nil || len(kept) == 0 {
		return err
	}
	if len(old) == 1 {
		idx, err := readIndex(filepath.Join(r.dir, packDir, old[0]+".idx"))
		if err != nil {
			return err
		}
		if n, err := idx.Count(); err != nil || n == int64(len(kept)) {
			return err
		}
	}
	d, err := r.store.draft()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.remove()) }()
	if err := r.pack(ctx, kept, d.pack); err != nil {
		return err
	}
	name, err := d.index()
	if err != nil {
		return err
	}
	if err := d.holdsAll(kept); err != nil {
		return err
	}
	if _, err := r.store.install(d, name); err != nil {
		return err
	}
	return r.store.drop(slices.DeleteFunc(old, func(n string) bool { return n == name }))
}

// holdsAll compares a pack with what it is to hold. What its index says was computed
// from the objects in it.
func (d *draft) holdsAll(kept []keptObject) error {
	idx, err := readIndex(filepath.Join(d.folder, "new.idx"))
	if err != nil {
		return err
	}
	for _, k := range kept {
		if ok, err := idx.Contains(k.id); err != nil || !ok {
			return errors.Join(err, fmt.Errorf("object %s is not in the new pack", k.id))
		}
	}
	return nil
}

// pack writes objects, each as what differs from its base where that is shorter.
func (r *Repo) pack(ctx context.Context, kept []keptObject, w io.Writer) error {
	capped := &cappedWriter{w: w, limit: r.limits.StoreBytes,
		over: fmt.Errorf("%w: what is reachable takes more than %d bytes", ErrFull, r.limits.StoreBytes)}
	buffer := bufio.NewWriterSize(capped, 64<<10)
	p, err := newPackWriter(buffer, len(kept))
	if err != nil {
		return err
	}
	offsets, chains := make([]int64, len(kept)), make([]uint8, len(kept))
	for i, k := range kept {
		if err := ctx.Err(); err != nil {
			return err
		}
		typ, data, err := r.store.raw(k.id)
		if err != nil {
			return err
		}
		offsets[i] = int64(p.pos)
		delta, err := r.store.delta(k, kept, chains, typ, data)
		if err != nil {
			return err
		}
		if delta == nil {
			err = p.add(typ, data)
		} else {
			chains[i] = chains[k.base] + 1
			err = p.addDelta(offsets[k.base], delta)
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(p.close(), buffer.Flush())
}

// delta returns how an object is made of its base; nil if it is better written whole.
func (s *store) delta(k keptObject, kept []keptObject, chains []uint8, typ plumbing.ObjectType, data []byte) ([]byte, error) {
	if k.base < 0 || chains[k.base] >= longestChain {
		return nil, nil
	}
	baseType, base, err := s.raw(kept[k.base].id)
	if err != nil || baseType != typ {
		return nil, err
	}
	delta := packfile.DiffDelta(base, data)
	if len(delta) > len(data)/2 {
		return nil, nil
	}
	return delta, nil
}

// raw returns any object, whatever it is, after checking its hash. A fetch has
// bounded its size.
func (s *store) raw(h plumbing.Hash) (plumbing.ObjectType, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	obj, err := s.objs.EncodedObject(plumbing.AnyObject, h)
	if err != nil {
		return 0, nil, readError(h.String(), err)
	}
	data, err := readObject(obj, obj.Size())
	if err != nil {
		return 0, nil, readError(h.String(), err)
	}
	return obj.Type(), data, checkHash(h.String(), obj.Type(), data)
}
