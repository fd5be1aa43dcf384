package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/internal/trust"
)

// proposalLimits bound what one proposal may cost: anyone who may push a branch can
// have it fetched and read. A change to an infra repo is text. What one object may
// be is as for the branch that is obeyed: what can be merged can be planned.
var proposalLimits = git.Limits{
	StoreBytes:    64 << 20,  // on disk: the commits, and tags that approve them
	PackBytes:     32 << 20,  // as sent
	InflatedBytes: 512 << 20, // a few seconds of a core
	PackObjects:   100_000,   // as many as one revision may have files
}

// Proposals are the other branches of a Source's repo, by what they would make of
// the accepted revision. Each is fetched into a store of its own that reads through
// the store of the Source, and is removed when it was looked at: what anyone may
// push takes no room for long, and none from what is obeyed. It is safe for
// concurrent use, also beside the Source.
type Proposals struct {
	main     checker
	accepted *trust.Store
	dir      string
	limits   git.Limits
	one      sync.Mutex // proposal at a time: that is what bounds the disk
}

// Proposals returns them. What a killed process has left of some is removed; what
// cannot be is an error of the next proposal, not of what is obeyed.
func (s *Source) Proposals() *Proposals {
	p := &Proposals{main: s.checker, accepted: s.accepted, dir: filepath.Join(s.opts.Dir, "proposals"), limits: proposalLimits}
	p.limits.Commits = s.opts.Anchor.Commits
	_ = p.sweep()
	return p
}

// With fetches a branch, merges it, in memory, into the accepted revision, and
// calls use with that. The proposal's Verdict says whether its commits could be
// obeyed as they are. Its Tree can be read until use returns.
func (p *Proposals) With(ctx context.Context, ref string, use func(core.Proposal) error) error {
	p.one.Lock()
	defer p.one.Unlock()
	state, ok := p.accepted.Accepted()
	if !ok {
		return errors.New("no revision was ever accepted, so there is nothing to compare a proposal with")
	}
	if err := p.sweep(); err != nil {
		return fmt.Errorf("remove what is left of other proposals: %w", err)
	}
	folder, unlock, err := p.folder()
	if err != nil {
		return fmt.Errorf("make a folder for the proposal: %w", err)
	}
	defer unlock()
	repo, err := p.main.repo.Over(filepath.Join(folder, "objects"), p.limits)
	if err != nil {
		return errors.Join(err, os.RemoveAll(folder))
	}
	proposal, err := checker{repo, p.main.verifier}.propose(ctx, state, ref)
	if err == nil {
		err = use(proposal)
	}
	return errors.Join(err, repo.Discard(), os.RemoveAll(folder))
}

// propose reads a proposal from the repo of the checker.
func (c checker) propose(ctx context.Context, accepted trust.State, ref string) (core.Proposal, error) {
	p := core.Proposal{Base: c.describe(accepted)}
	var err error
	if p.Head, err = c.fetch(ctx, ref); err != nil {
		return p, err
	}
	if p.Tree, p.Conflicts, err = c.repo.Merge(ctx, p.Base.Commit, p.Head); err != nil {
		return p, err
	}
	p.Verdict, err = c.withApprovals(ctx, nil, func() (core.Verdict, error) {
		return c.verifier.VerifyProposal(ctx, c.repo, accepted, p.Head)
	})
	return p, err
}

// folder makes a folder for one proposal. Its lock says that a process uses it: a
// command may plan a pull request beside the daemon, in the same state folder.
func (p *Proposals) folder() (name string, unlock func(), err error) {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return "", nil, err
	}
	if name, err = os.MkdirTemp(p.dir, "proposal-"); err != nil {
		return "", nil, err
	}
	if unlock, err = lock(name); err != nil {
		err = errors.Join(err, os.RemoveAll(name))
	}
	return name, unlock, err
}

// sweep removes the folders that no process uses any more.
func (p *Proposals) sweep() error {
	left, err := filepath.Glob(filepath.Join(p.dir, "proposal-*"))
	if err != nil {
		return err
	}
	for _, name := range left {
		unlock, err := lock(name)
		if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = os.RemoveAll(name)
		if unlock(); err != nil {
			return err
		}
	}
	return nil
}

// lock locks a folder as flock(2) says; it is unlocked when the process ends, too.
func lock(folder string) (unlock func(), err error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", folder, err), f.Close())
	}
	return func() { f.Close() }, nil
}
