package report

import (
	"slices"

	"prumo.dev/prumo/internal/core"
)

// Public returns a report without the messages of the API server, registries and the Git
// server, which may quote live values and addresses. It is what those read who have shown no right to see more.
func Public(r core.Report) core.Report {
	if slices.ContainsFunc(r.Problems, func(p core.Problem) bool { return p.Detail != "" }) {
		r.Problems = slices.Clone(r.Problems)
		for i := range r.Problems {
			r.Problems[i].Detail = ""
		}
	}
	if r.Refused != nil {
		refused := *r.Refused
		refused.Refusal = publicRefusal(refused.Refusal)
		refused.Commits = slices.Clone(refused.Commits)
		for i := range refused.Commits {
			refused.Commits[i].Refusal = publicRefusal(refused.Commits[i].Refusal)
		}
		r.Refused = &refused
	}
	r.Plan, r.Drift = publicPlan(r.Plan), publicPlan(r.Drift)
	if r.Result != nil {
		result := *r.Result
		result.Outcomes, result.NotReady = publicOutcomes(result.Outcomes), publicOutcomes(result.NotReady)
		r.Result = &result
	}
	return r
}

func publicRefusal(r *core.Refusal) *core.Refusal {
	if r == nil || r.Detail == "" {
		return r
	}
	public := *r
	public.Detail = ""
	return &public
}

func publicPlan(p *core.Plan) *core.Plan {
	if p == nil || !slices.ContainsFunc(p.Changes, func(c core.Change) bool { return c.ServerSays != "" }) {
		return p
	}
	public := *p
	public.Changes = slices.Clone(p.Changes)
	for i := range public.Changes {
		public.Changes[i].ServerSays = ""
	}
	return &public
}

func publicOutcomes(outcomes []core.Outcome) []core.Outcome {
	if !slices.ContainsFunc(outcomes, func(o core.Outcome) bool { return o.ServerSays != "" }) {
		return outcomes
	}
	public := slices.Clone(outcomes)
	for i := range public {
		public[i].ServerSays = ""
	}
	return public
}
