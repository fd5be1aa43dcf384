package source

import (
	"cmp"
	"context"
	"fmt"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/trust"
)

// Judge says whether the commits from a revision, or from the introduction if
// from is empty, up to another may be obeyed. It remembers nothing.
func (s *Source) Judge(ctx context.Context, from, to string) (core.Verdict, error) {
	return s.withApprovals(ctx, nil, func() (core.Verdict, error) { return s.verifier.Verify(ctx, s.repo, from, to) })
}

// Look has all that is asked afterwards be answered from what is remembered of
// the branch, in the folder and in the cluster, and writes nothing. It refuses
// where the two differ; a cluster that cannot be asked is among the warnings.
func (s *Source) Look(ctx context.Context) *core.Refusal {
	refusal, err := s.accepted.Look(ctx)
	if err != nil {
		s.warnings = append(s.warnings, core.Warning{
			Code:   trust.CodeState,
			Commit: s.Accepted().Commit,
			Found:  "what the cluster remembers of the branch is not known here: " + err.Error(),
			Remedy: "run this where the cluster can be read; this is what the state folder alone says",
		})
	}
	return refusal
}

// JudgeTip says whether the branch may be obeyed as it is: every commit from the
// introduction on, and, from the last accepted revision on, by what is remembered
// too. It remembers nothing itself.
func (s *Source) JudgeTip(ctx context.Context, tip string) (core.Verdict, error) {
	verdict, err := s.Judge(ctx, "", tip)
	if err != nil || s.Accepted().Commit == "" {
		return verdict, err
	}
	step, err := s.follow(ctx, tip)
	if err != nil {
		return core.Verdict{}, err
	}
	next := step.Verdict()
	verdict.Override = next.Override
	if next.Refusal == nil {
		return verdict, nil
	}
	verdict.From, verdict.Refusal = next.From, next.Refusal
	refused := map[string]*core.Refusal{}
	for _, line := range next.Commits {
		refused[line.Commit] = line.Refusal
	}
	for i, line := range verdict.Commits {
		verdict.Commits[i].Refusal = cmp.Or(line.Refusal, refused[line.Commit])
	}
	return verdict, nil
}

// follow judges the tip of the branch that is followed. Where it may not be
// obeyed, root principals may have said that it may.
func (s *Source) follow(ctx context.Context, tip string) (trust.Step, error) {
	prev, _ := s.accepted.Accepted()
	step, err := s.stepWithApprovals(ctx, nil, func() (trust.Step, error) { return s.verifier.Follow(ctx, s.repo, prev, tip) })
	match := s.verifier.OverrideTags(prev, step)
	if err != nil || match == nil {
		return step, err
	}
	if err := s.fetchTags(ctx, match); err != nil {
		step.Verdict().Refusal.Found += "; overrides cannot be fetched"
		step.Verdict().Refusal.Detail = err.Error()
		return step, ctx.Err()
	}
	return s.stepWithApprovals(ctx, match, func() (trust.Step, error) { return s.verifier.Override(ctx, s.repo, prev, step) })
}

// remember writes down what the followed branch asked for and was refused for
// good. Before the first revision is accepted there is no record to write it to.
func (s *Source) remember(ctx context.Context, step trust.Step) error {
	state, ok := s.accepted.Accepted()
	if !ok {
		return nil
	}
	if err := s.accepted.Note(ctx, step.Remember); err != nil {
		return fmt.Errorf("remember what was refused: %w", err)
	}
	if warning := state.Forgets(); warning != nil {
		s.warnings = append(s.warnings, *warning)
	}
	return nil
}

// stepWithApprovals is withApprovals for what may be accepted.
func (s *Source) stepWithApprovals(ctx context.Context, also func(ref string) bool, judge func() (trust.Step, error)) (step trust.Step, err error) {
	_, err = s.withApprovals(ctx, also, func() (core.Verdict, error) {
		step, err = judge()
		return step.Verdict(), err
	})
	return step, err
}
