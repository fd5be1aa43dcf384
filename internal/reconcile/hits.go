package reconcile

import (
	"context"
	"fmt"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/diff"
)

// maxQueries bounds how many changes of a plan are asked about; a plan that stops
// more than that says so.
const maxQueries = 50

// NameHits writes into changes which pods they stop. The cluster is asked only
// about those that may stop some. What it does not tell is told, and holds
// nothing up.
func NameHits(ctx context.Context, list func(context.Context, core.PodQuery) ([]core.Pod, error), changes []core.Change) error {
	asked := 0
	for i := range changes {
		query, ok := diff.Disrupts(changes[i])
		if !ok {
			continue
		}
		if asked++; asked > maxQueries {
			changes[i].Hits = &core.Hits{Unknown: fmt.Sprintf("the plan hits pods in more than %d ways", maxQueries)}
			continue
		}
		pods, err := list(ctx, query)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		changes[i].Hits = diff.Hit(pods)
		if err != nil {
			changes[i].Hits = &core.Hits{Unknown: "pods cannot be listed: " + err.Error()}
		}
	}
	return nil
}
