package source

import (
	"context"
	"time"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/internal/trust"
)

// A checker verifies what a repo holds, with the tags that it fetches for that.
type checker struct {
	repo     *git.Repo
	verifier *trust.Verifier
}

// fetchTimeout bounds one fetch: a remote that trickles must not stop the loop.
const fetchTimeout = 5 * time.Minute

func (c checker) fetchTags(ctx context.Context, match func(ref string) bool) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	return c.repo.FetchTags(ctx, match)
}

// fetch brings a ref's commits here.
func (c checker) fetch(ctx context.Context, ref string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	return c.repo.Fetch(ctx, ref)
}

// withApprovals judges again with the approvals that the remote has, if some are
// missing. They are asked for by name, and only then: most commits need none.
// Other tags that judge needs match also.
func (c checker) withApprovals(ctx context.Context, also func(ref string) bool, judge func() (core.Verdict, error)) (core.Verdict, error) {
	verdict, err := judge()
	if err != nil || verdict.Refusal == nil {
		return verdict, err
	}
	match, err := c.verifier.MissingApprovals(ctx, c.repo, verdict)
	if err != nil || match == nil {
		return verdict, err
	}
	all := func(ref string) bool { return match(ref) || also != nil && also(ref) }
	if err := c.fetchTags(ctx, all); err != nil {
		verdict.Refusal.Found += "; approvals cannot be fetched"
		verdict.Refusal.Detail = err.Error()
		return verdict, ctx.Err()
	}
	return judge()
}

// describe is an accepted revision.
func (c checker) describe(state trust.State) core.Revision {
	rev := core.Revision{Commit: state.Commit, Ref: state.Ref, Signer: state.Signer}
	if commit, err := c.repo.Commit(state.Commit); err == nil {
		rev.Time = commit.Committer.When.UTC()
	}
	return rev
}
