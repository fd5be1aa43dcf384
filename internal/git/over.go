package git

import (
	"errors"
	"fmt"
	"os"
)

// Over opens a store of its own in dir, which must be absent or empty, for commits
// that are looked at once and then thrown away. It reads what r holds as if it were
// its own, so that only what r does not have is fetched. It writes to dir alone,
// and knows its own tags. Both may be used at the same time.
//
// A Repack of r may take away what r holds and nobody needs. A reader for whom that
// is missing then gets ErrNotFound.
func (r *Repo) Over(dir string, limits Limits) (*Repo, error) {
	o, err := Open(dir, r.remote, limits)
	if err != nil {
		return nil, err
	}
	o.store.under = r.store
	return o, nil
}

// Discard closes the store and removes its folder.
func (r *Repo) Discard() error {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	if err := errors.Join(r.store.objs.Close(), os.RemoveAll(r.dir)); err != nil {
		return fmt.Errorf("throw away the Git store %s: %w", r.dir, err)
	}
	return nil
}
