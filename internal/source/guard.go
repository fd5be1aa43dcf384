package source

import (
	"context"
	"errors"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/internal/trust"
)

// Tip brings the branch here and returns its tip. The heartbeat comes before it:
// one that is newer than the branch would name a commit that is not here yet.
func (s *Source) Tip(ctx context.Context) (tip string, err error) {
	if match := s.verifier.HeartbeatTag(); match != nil {
		if err := s.fetchTags(ctx, match); err != nil {
			return "", err
		}
		if s.beat, err = s.verifier.Beat(s.repo); err != nil {
			return "", err
		}
	}
	return s.fetch(ctx, s.opts.Ref)
}

// Guard says why nothing new may be obeyed whatever the branch holds, as Tip has
// found it: a clock that was set back, a remote that may withhold commits. It
// remembers nothing.
func (s *Source) Guard(ctx context.Context, tip string) (*core.Refusal, error) {
	_, refusal, err := s.judgeTime(ctx, tip)
	return refusal, err
}

// guard is Guard, and writes down what it has seen.
func (s *Source) guard(ctx context.Context, tip string) (*core.Refusal, error) {
	newest, refusal, err := s.judgeTime(ctx, tip)
	if err != nil || refusal != nil && refusal.Code == trust.CodeClock {
		return refusal, err
	}
	if _, ok := s.accepted.Accepted(); !ok {
		return refusal, nil
	}
	return refusal, s.accepted.Note(ctx, func(state trust.State) trust.State { return s.verifier.Note(state, newest) })
}

func (s *Source) judgeTime(ctx context.Context, tip string) (trust.Heartbeat, *core.Refusal, error) {
	state, _ := s.accepted.Accepted()
	if refusal := s.verifier.Clock(state); refusal != nil {
		return state.Heartbeat, refusal, nil
	}
	newest, refusal, err := s.verifier.Fresh(ctx, s.repo, s.beat, state.Heartbeat, tip)
	if refusal != nil && !s.verifier.Freezes() {
		s.warnings = append(s.warnings, core.Warning{Code: refusal.Code, Commit: refusal.Commit, Found: refusal.Found, Remedy: refusal.Remedy})
		refusal = nil
	}
	return newest, refusal, err
}

// revoked is what an accepted history holds that was revoked since.
type revoked struct {
	at       string // accepted commit that was looked back from
	warnings []core.Warning
}

// lookBack warns of accepted commits by keys that were revoked since: once, for
// the trust file is read once, and again when there are some and history went on,
// for root principals may have left them.
func (s *Source) lookBack(ctx context.Context, accepted string) error {
	if s.revoked.at == "" || len(s.revoked.warnings) > 0 && s.revoked.at != accepted {
		warnings, err := s.revokedSince(ctx, accepted)
		if err != nil {
			return err
		}
		s.revoked = revoked{accepted, warnings}
	}
	s.warnings = append(s.warnings, s.revoked.warnings...)
	return nil
}

// revokedSince fetches the approvals that are to be looked at, and looks. More
// than can be fetched at once stop nothing.
func (s *Source) revokedSince(ctx context.Context, accepted string) (warnings []core.Warning, err error) {
	match, err := s.verifier.RevokedApprovals(ctx, s.repo, accepted)
	if err != nil {
		return nil, err
	}
	if match != nil {
		err = s.fetchTags(ctx, match)
	}
	if errors.Is(err, git.ErrLimit) {
		warnings = append(warnings, core.Warning{
			Code:   trust.CodeLimit,
			Commit: accepted,
			Found:  "approvals by people whose keys were revoked are not looked at: " + err.Error(),
			Remedy: "look at them by hand (git for-each-ref refs/tags/approve), or move the introduction in the trust file forward to a commit that you have looked at",
		})
	} else if err != nil {
		return nil, err
	}
	warning, err := s.verifier.RevokedSince(ctx, s.repo, accepted)
	if warning != nil {
		warnings = append(warnings, *warning)
	}
	return warnings, err
}
