package source

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/internal/trust"
)

// Options say which branch of which repo is followed, and who is obeyed.
type Options struct {
	Dir    string // state folder; holds the objects and what is remembered
	Remote git.Remote
	Ref    string // full name, such as refs/heads/main
	Anchor *trust.Anchor

	// Cluster keeps what was accepted beside the folder; nil: the folder alone.
	Cluster trust.Documents

	StoreBytes int64 // the objects on disk, as git.Limits has it; 0: its default
}

// A Source is one branch of one repo. It is not safe for concurrent use.
type Source struct {
	opts Options
	checker
	accepted *trust.Store
	beat     trust.Beat     // that the last Tip was shown
	warnings []core.Warning // of the last Advance
	revoked  revoked
	tree     core.Tree // that was asked for last
}

// Open opens or creates the state folder.
func Open(opts Options) (*Source, error) {
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	repo, err := git.Open(filepath.Join(opts.Dir, "objects"), opts.Remote,
		git.Limits{Commits: opts.Anchor.Commits, StoreBytes: opts.StoreBytes})
	if err != nil {
		return nil, err
	}
	accepted, err := trust.OpenStore(filepath.Join(opts.Dir, "accepted.json"),
		trust.Binding{Repo: opts.Remote.URL, Ref: opts.Ref, Introduction: opts.Anchor.Introduction}, opts.Cluster)
	if err != nil {
		return nil, err
	}
	return &Source{opts: opts, checker: checker{repo, trust.NewVerifier(opts.Anchor)}, accepted: accepted}, nil
}

// Advance implements reconcile.Source.
func (s *Source) Advance(ctx context.Context) (core.Revision, *core.Verdict, error) {
	s.warnings = nil
	if refused, err := s.agree(ctx); refused != nil || err != nil {
		return core.Revision{}, refused, err
	}
	inForce := s.Accepted()
	if err := s.tidy(ctx); err != nil {
		return inForce, nil, err
	}
	if err := s.lookBack(ctx, inForce.Commit); err != nil {
		return inForce, nil, err
	}
	if ref := s.opts.Anchor.Ref; ref != "" && ref != s.opts.Ref {
		return inForce, nil, fmt.Errorf("the trust file is about %s, but %s is followed: approvals for one must not count for the other", ref, s.opts.Ref)
	}
	tip, err := s.withRoom(ctx, s.Tip)
	if err != nil {
		return inForce, nil, err
	}
	refusal, err := s.guard(ctx, tip)
	if err != nil {
		return inForce, nil, err
	}
	if refusal != nil {
		return inForce, &core.Verdict{From: inForce.Commit, To: tip, Refusal: refusal}, nil
	}
	step, err := s.follow(ctx, tip)
	if err == nil {
		err = s.remember(ctx, step)
	}
	if err != nil {
		return inForce, nil, err
	}
	if verdict := step.Verdict(); verdict.Refusal != nil {
		return inForce, &verdict, nil
	}
	if tip == inForce.Commit {
		return inForce, nil, nil
	}
	prev, _ := s.accepted.Accepted()
	next, err := s.verifier.Next(ctx, s.repo, prev, step)
	if err != nil {
		return inForce, nil, err
	}
	if err := s.accepted.Accept(ctx, next); err != nil {
		return inForce, nil, err
	}
	return s.Accepted(), nil, nil
}

// agree makes folder and cluster say the same. While they do not, nothing is in
// force.
func (s *Source) agree(ctx context.Context) (*core.Verdict, error) {
	warning, refusal, err := s.accepted.Agree(ctx, func(ctx context.Context, there trust.State) (*core.Refusal, error) {
		if _, err := s.withRoom(ctx, func(ctx context.Context) (string, error) { return s.fetch(ctx, s.opts.Ref) }); err != nil {
			return nil, err
		}
		return s.verifier.Recheck(ctx, s.repo, there)
	})
	if err != nil {
		return nil, err
	}
	if warning != nil {
		s.warnings = append(s.warnings, *warning)
	}
	if refusal != nil {
		return &core.Verdict{To: refusal.Commit, Refusal: refusal}, nil
	}
	return nil, nil
}

// Warnings implements reconcile.Source.
func (s *Source) Warnings() []core.Warning { return s.warnings }

// Accepted is the last accepted revision; zero if there is none.
func (s *Source) Accepted() core.Revision {
	state, ok := s.accepted.Accepted()
	if !ok {
		return core.Revision{}
	}
	return s.describe(state)
}

// Resolve returns the full id of a fetched commit or ref.
func (s *Source) Resolve(ctx context.Context, name string) (string, error) {
	return s.repo.Resolve(ctx, name)
}

// Find fetches the branch, judges a revision and returns it. An empty name means
// the branch's tip, judged from the last accepted revision on; any other is
// judged from the introduction on, since it may be an old one. It accepts nothing.
func (s *Source) Find(ctx context.Context, name string) (core.Revision, core.Verdict, error) {
	tip, err := s.Tip(ctx)
	if err != nil {
		return core.Revision{}, core.Verdict{}, err
	}
	if name == "" {
		return s.findTip(ctx, tip)
	}
	id, err := s.repo.Resolve(ctx, name)
	if err != nil {
		return core.Revision{}, core.Verdict{}, err
	}
	verdict, err := s.Judge(ctx, "", id)
	return s.found(id, verdict, err)
}

func (s *Source) findTip(ctx context.Context, tip string) (core.Revision, core.Verdict, error) {
	if refusal, err := s.Guard(ctx, tip); refusal != nil || err != nil {
		return core.Revision{}, core.Verdict{From: s.Accepted().Commit, To: tip, Refusal: refusal}, err
	}
	step, err := s.follow(ctx, tip)
	return s.found(tip, step.Verdict(), err)
}

func (s *Source) found(id string, verdict core.Verdict, err error) (core.Revision, core.Verdict, error) {
	if err != nil || verdict.Refusal != nil {
		return core.Revision{}, verdict, err
	}
	rev, err := s.revision(id, verdict)
	return rev, verdict, err
}

// Tree implements reconcile.Source.
func (s *Source) Tree(rev core.Revision) (core.Tree, error) {
	if s.tree.FS != nil && s.tree.Revision == rev {
		return s.tree, nil // pass after pass: to list thousands of files is most of what an idle one costs
	}
	tree, err := s.repo.Tree(rev)
	if err == nil {
		s.tree = tree
	}
	return tree, err
}

// revision describes an accepted commit.
func (s *Source) revision(id string, verdict core.Verdict) (core.Revision, error) {
	if accepted := s.Accepted(); id == accepted.Commit {
		return accepted, nil
	}
	c, err := s.repo.Commit(id)
	if err != nil {
		return core.Revision{}, err
	}
	rev := core.Revision{Commit: id, Ref: s.opts.Ref, Time: c.Committer.When.UTC()}
	for _, v := range verdict.Commits {
		if v.Commit == id {
			rev.Signer = v.Signer
		}
	}
	return rev, nil
}

// Applied implements reconcile.Source. A revision that the store does not hold
// is forgotten: then all that differs counts as a change, not as drift.
func (s *Source) Applied() core.Applied {
	state, _ := s.accepted.Accepted()
	if _, err := s.repo.Commit(state.Applied.Commit); err != nil {
		return core.Applied{}
	}
	return state.Applied
}

// SetApplied implements reconcile.Source.
func (s *Source) SetApplied(ctx context.Context, applied core.Applied) error {
	err := s.accepted.Note(ctx, func(state trust.State) trust.State {
		state.Applied = applied
		return state
	})
	if err != nil {
		return fmt.Errorf("remember the applied revision: %w", err)
	}
	return nil
}
