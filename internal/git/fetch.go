package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// A source is the remote side of a fetch.
type source interface {
	// fetch writes to w a pack of what the wanted refs need and the store does
	// not have, and returns where they point to. It writes nothing if the store
	// has it all. A missing ref is an error, missing tags are none.
	fetch(ctx context.Context, what want, have *store, w io.Writer) (refs map[string]string, err error)
}

// newSource says how a remote is spoken to.
func newSource(remote Remote, l Limits) (source, error) {
	ep, err := transport.NewEndpoint(remote.URL)
	if err != nil {
		return nil, errors.New("the URL cannot be read") // the error of net/url would print what may be a password
	}
	if ep.Password != "" {
		return nil, errors.New("the URL holds a password: give it apart, URLs end up in logs")
	}
	switch ep.Protocol {
	case "file":
		return &localSource{path: ep.Path, limits: l}, nil
	case "https", "http":
		return newHTTPSource(ep, remote.Auth, l)
	case "ssh":
		return &sshSource{ep: ep, auth: remote.Auth, limits: l}, nil
	}
	return nil, fmt.Errorf("protocol %q is not supported: use https, ssh, file or a path", ep.Protocol)
}

// Fetch brings one ref of the remote into the store, only what is new, and
// returns the commit at its tip. The ref is a full name, a branch, or HEAD; no
// other ref and no tag comes with it. A tip that does not build on the last one
// is fetched too: whether it may be followed is for the caller (see Range).
// Nothing is removed from the store, and a fetch that fails leaves its refs and
// objects as they were. One after which the store would be larger than Limits
// allow is refused with ErrFull. Tags that were fetched before are forgotten,
// because the remote may have taken them back since. How long it may take is for
// ctx to say.
func (r *Repo) Fetch(ctx context.Context, ref string) (tip string, err error) {
	name, err := fullRef(ref)
	if err != nil {
		return "", err
	}
	r.fetching.Lock()
	defer r.fetching.Unlock()
	r.setTags(nil)
	tip, err = r.receive(ctx, name)
	if err != nil {
		return "", r.fetchError(ctx, name, err)
	}
	return tip, nil
}

// fetchError says what could not be fetched, and why.
func (r *Repo) fetchError(ctx context.Context, what string, err error) error {
	switch {
	case ctx.Err() != nil:
		err = ctx.Err() // the cause, not the pipe that it broke
	case errors.Is(err, syscall.ENOSPC):
		err = fmt.Errorf("%w: make room on the volume of %s", err, r.dir)
	}
	return fmt.Errorf("fetch %s from %s: %w", what, r.remote.URL, err)
}

// receive brings what one ref needs and points a private ref at its tip.
func (r *Repo) receive(ctx context.Context, ref string) (tip string, err error) {
	refs, added, err := r.spool(ctx, want{ref: ref})
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.store.drop(added))
		}
	}()
	tip = refs[ref]
	if _, err := r.store.read(tip, plumbing.CommitObject, r.limits.CommitBytes); err != nil {
		return "", fmt.Errorf("its tip is not a commit that can be read: %w", err)
	}
	return tip, r.store.setRef(privateRef(ref), tip)
}

// spool writes the pack next to the store, measures it, and only then adds it.
func (r *Repo) spool(ctx context.Context, what want) (refs map[string]string, added []string, err error) {
	if err := r.store.refresh(); err != nil {
		return nil, nil, err
	}
	d, err := r.store.draft()
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, d.remove()) }()
	w, err := r.capped(d.pack)
	if err != nil {
		return nil, nil, err
	}
	refs, err = r.source.fetch(ctx, what, r.store, w)
	if w.err != nil {
		err = w.err // the cause; what a transport makes of it are words
	}
	if err != nil || w.written == 0 {
		return refs, nil, err
	}
	if _, err := d.pack.Seek(0, io.SeekStart); err != nil {
		return nil, nil, err
	}
	size, err := measurePack(ctx, d.pack, r.limits)
	if err != nil || size.Objects == 0 {
		return refs, nil, err
	}
	name, err := d.index()
	fresh := false
	if err == nil {
		fresh, err = r.store.install(d, name)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("store the pack: %w", err)
	}
	if fresh {
		added = []string{name}
	}
	return refs, added, nil
}

// fullRef makes a branch a full ref name and refuses what is none.
func fullRef(ref string) (string, error) {
	if ref != "HEAD" && !strings.HasPrefix(ref, "refs/") {
		ref = "refs/heads/" + ref
	}
	if err := plumbing.ReferenceName(ref).Validate(); err != nil {
		return "", fmt.Errorf("%q is not a ref name", ref)
	}
	return ref, nil
}

// capped bounds what one fetch may write: a pack, and what the store has room for.
func (r *Repo) capped(w io.Writer) (*cappedWriter, error) {
	u, err := r.store.usage()
	if err != nil {
		return nil, err
	}
	c := &cappedWriter{w: w, limit: r.limits.PackBytes,
		over: fmt.Errorf("the pack is larger than %d bytes: %w (pack bytes)", r.limits.PackBytes, ErrLimit)}
	if room := r.limits.StoreBytes - u.bytes; room < c.limit {
		c.limit = max(0, room)
		c.over = fmt.Errorf("%w: %s holds %d bytes, and what is new would make it more than %d", ErrFull, r.dir, u.bytes, r.limits.StoreBytes)
	}
	return c, nil
}

// A cappedWriter fails once more than limit bytes are written.
type cappedWriter struct {
	w              io.Writer
	written, limit int64
	over           error // once there are more
	err            error // the first one
}

func (c *cappedWriter) Write(b []byte) (n int, err error) {
	if c.written += int64(len(b)); c.written > c.limit {
		err = c.over
	} else {
		n, err = c.w.Write(b)
	}
	if c.err == nil {
		c.err = err
	}
	return n, err
}
