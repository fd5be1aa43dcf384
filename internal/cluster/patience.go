package cluster

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"prumo.dev/prumo/internal/core"
)

const (
	// passPatience is how long a pass of a Watched waits for an answer about one
	// object. An admission webhook may take half a minute, and all else would wait
	// along: the plan, what is applied, and the report.
	passPatience = 5 * time.Second

	// maxHung bounds how often a pass waits so long in vain.
	maxHung = 4 * concurrency
)

// A patience is how long a pass waits. The zero value waits as long as a request may
// take.
type patience struct {
	limit time.Duration
	late  map[core.ObjectID]bool // was asked about beside the passes, and answered well: is waited for
	hung  atomic.Int32           // so many were waited for in vain
}

// askInTime is ask for as long as the pass is patient. What is not answered by then is
// a snag: it is asked about beside the passes, where the answer is awaited.
func (p *pass) askInTime(ctx context.Context, o *core.Observed) error {
	if p.patience.limit == 0 || p.patience.late[o.Object.ID] {
		return p.ask(ctx, o)
	}
	unasked := *o
	why := fmt.Sprintf("this pass has waited for %d other answers in vain", maxHung)
	if p.patience.hung.Load() < maxHung {
		why = fmt.Sprintf("the API server has not answered within %s", p.patience.limit)
		soon, cancel := context.WithTimeout(ctx, p.patience.limit)
		defer cancel()
		err := p.ask(soon, o)
		if err == nil || soon.Err() == nil || ctx.Err() != nil {
			return err
		}
		p.patience.hung.Add(1)
	}
	*o = unasked
	o.Blocked = why + ", perhaps for an admission webhook that is slow; the answer is awaited beside the passes"
	return nil
}
