package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/internal/trust"
)

// tidy packs the store anew when that is worth it. What fails is tried again at the
// next Advance, and stops nothing: the store has all that it had.
func (s *Source) tidy(ctx context.Context) error {
	crowded, err := s.repo.Crowded()
	if err == nil && crowded {
		_, err = s.repack(ctx)
	}
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	s.warnings = append(s.warnings, core.Warning{
		Code:   trust.CodeLimit,
		Commit: s.Accepted().Commit,
		Found:  "what the branch does not lead to is still on disk: " + err.Error(),
		Remedy: "make room on the volume of the state folder: while the store is packed anew it takes twice its size",
	})
	return nil
}

// repack removes from the store all that nobody asks for any more: what was refused,
// branches as they were before they were rewritten, tags. What stays is the history
// of the accepted revision; what was applied and what broken specs are kept at;
// what root principals had the branch leave, which is compared with what comes.
func (s *Source) repack(ctx context.Context) (freed int64, err error) {
	state, _ := s.accepted.Accepted()
	keep := append(slices.Collect(maps.Values(state.Applied.Kept)), state.Left...)
	keep = append(keep, state.Applied.Commit, s.opts.Anchor.Introduction)
	return s.repo.Repack(ctx, s.opts.Ref, state.Commit, keep...)
}

// withRoom fetches. A store that would be too large for what comes is packed anew,
// and asked again if that helped. Advance alone does this: for another process that
// reads the same store, what was replaced is gone until it fetches.
func (s *Source) withRoom(ctx context.Context, fetch func(context.Context) (string, error)) (string, error) {
	tip, err := fetch(ctx)
	if !errors.Is(err, git.ErrFull) {
		return tip, err
	}
	freed, repackErr := s.repack(ctx)
	if repackErr == nil && freed > 0 {
		tip, err = fetch(ctx)
	}
	if errors.Is(err, git.ErrFull) {
		err = fmt.Errorf("%w; what is not needed any more was removed before: keep large files out of the repo, "+
			"or raise repo.storeMiB in the configuration, and the volume to three times that", errors.Join(err, repackErr))
	}
	return tip, err
}
