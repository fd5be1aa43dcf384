package trust

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"prumo.dev/prumo/internal/core"
)

// A Step is the verdict on what the followed branch would have obeyed after the
// last accepted State. Next takes nothing else. Follow and Override make it, and
// nothing makes one of a verdict on a proposal or on an old revision.
type Step struct {
	verdict core.Verdict
	instead bool      // it does not build on the accepted revision: root principals put it in its place
	refused []Refused // to be remembered
}

// Verdict is what people are told of the step.
func (s Step) Verdict() core.Verdict { return s.verdict }

// Follow judges the tip of the followed branch from the last accepted revision
// on, or from the introduction if there is none. What was refused before stays
// refused, and what root principals had the branch leave stays out.
func (v *Verifier) Follow(ctx context.Context, h History, prev State, tip string) (Step, error) {
	w := v.walk(h)
	w.memory = prev.Refused
	verdict, err := v.verify(ctx, prev.Commit, tip, w)
	if err == nil && verdict.Refusal == nil {
		verdict.Refusal, err = w.returns(ctx, prev, verdict)
	}
	if err != nil {
		return Step{}, err
	}
	return Step{verdict: verdict, refused: w.refused}, nil
}

// Next returns the State to accept after a step. prev is what the Store has, from
// which the step must start. h is the history that was verified.
func (v *Verifier) Next(ctx context.Context, h History, prev State, step Step) (State, error) {
	next, err := v.next(ctx, h, prev, step)
	if err != nil {
		return State{}, fmt.Errorf("accept %.10s: %w", step.verdict.To, err)
	}
	return next, nil
}

func (v *Verifier) next(ctx context.Context, h History, prev State, step Step) (State, error) {
	verdict := step.verdict
	switch {
	case verdict.To == "":
		return State{}, errors.New("nothing was judged")
	case verdict.Refusal != nil:
		return State{}, fmt.Errorf("it was refused: %s", verdict.Refusal)
	case prev.Introduction != v.anchor.Introduction:
		return State{}, fmt.Errorf("the state is about another introduction, %.10s", prev.Introduction)
	case prev.Commit == "" && verdict.From != v.anchor.Introduction, prev.Commit != "" && verdict.From != prev.Commit:
		return State{}, fmt.Errorf("verified from %.10s: %w", verdict.From, ErrConflict)
	}
	next := prev
	if err := v.walk(h).describe(ctx, &next, verdict.To); err != nil {
		return State{}, err
	}
	next.Previous, next.Commits, next.Time = prev.Commit, prev.Commits+len(verdict.Commits), v.now().UTC()
	if next.Instead = step.instead; next.Instead {
		next.Left = append(slices.Clone(prev.Left), prev.Commit)
	}
	return next, nil
}
