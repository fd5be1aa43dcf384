package proposals

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/forge"
)

const (
	// planTime bounds one plan: the fetch, the evaluation, the questions to the cluster
	// and the answers of the forge.
	planTime = 5 * time.Minute

	// listTime bounds the list of open pull requests.
	listTime = time.Minute

	// A plan that failed for a reason outside of the proposal is tried again after
	// firstRetry, and then after twice as long each time, up to lastRetry.
	firstRetry = 30 * time.Second
	lastRetry  = 10 * time.Minute

	// maxDeaths is how often planning a commit may end the daemon.
	maxDeaths = 2
)

// A Worker plans pull requests beside the loop, so that nothing that is proposed
// delays what is agreed.
type Worker struct {
	Planner  *Planner
	Attempts *Attempts
	Interval time.Duration // between two looks at the list of open pull requests
	Log      *slog.Logger

	planned map[int]planned // by number of the pull request
	turns   turns
	until   time.Time // the forge answers nothing before
}

// planned is what became of a pull request when it was last planned.
type planned struct {
	head, base string
	failures   int // in a row
	retry      time.Time
}

// Run plans pull requests until ctx ends.
func (w *Worker) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if err := w.Round(ctx); err != nil && ctx.Err() == nil {
			w.Log.Error("pull requests cannot be listed", "error", err)
		}
		timer.Reset(w.Interval + rand.N(w.Interval/10+1))
	}
}

// Round lists the open pull requests and plans those whose head or base moved since
// they were planned, and those that are tried again. Authors take turns. A round ends
// early after an interval, so that a new head is seen. An error means that the list
// could not be read; what goes wrong with one pull request is logged.
func (w *Worker) Round(ctx context.Context) error {
	base := w.Planner.InForce()
	if base == nil || w.Planner.Now().Before(w.until) {
		return nil
	}
	listing, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	open, err := w.Planner.Forge.OpenPulls(listing)
	if err != nil {
		return w.limited(err)
	}
	due := w.due(open, base.Tree.Revision)
	for started := time.Now(); len(due) > 0 && ctx.Err() == nil && !w.Planner.Now().Before(w.until) && time.Since(started) < w.Interval; {
		var pull forge.Pull
		pull, due = w.turns.next(due)
		start := time.Now()
		w.one(ctx, pull, base.Tree.Revision)
		w.turns.took(pull.Author, time.Since(start), start)
	}
	return nil
}

// due returns the pull requests that are to be planned now, and forgets closed ones.
func (w *Worker) due(open []forge.Pull, base core.Revision) []forge.Pull {
	known := make(map[int]planned, len(open))
	var due []forge.Pull
	for _, pull := range open {
		if w.Planner.skip(pull) != nil {
			continue
		}
		last, ok := w.planned[pull.Number]
		same := ok && last.head == pull.HeadSHA && last.base == base.Commit
		if same && (last.failures == 0 || w.Planner.Now().Before(last.retry)) {
			known[pull.Number] = last
			continue
		}
		if same {
			known[pull.Number] = last
		}
		due = append(due, pull)
	}
	w.planned = known
	return due
}

// one plans one pull request and notes what became of it.
func (w *Worker) one(ctx context.Context, pull forge.Pull, base core.Revision) {
	err := w.try(ctx, pull)
	if ctx.Err() != nil {
		return // the daemon ends; it is planned after the next start
	}
	now := planned{head: pull.HeadSHA, base: base.Commit}
	if err == nil {
		w.Log.Info("planned a pull request", "number", pull.Number, "head", pull.HeadSHA)
	} else {
		now.failures = w.planned[pull.Number].failures + 1
		now.retry = w.Planner.Now().Add(min(firstRetry<<min(now.failures-1, 10), lastRetry))
		w.Log.Error("a pull request cannot be planned; it is tried again", "number", pull.Number, "head", pull.HeadSHA,
			"retry", now.retry.UTC().Format(time.RFC3339), "error", w.limited(err))
	}
	w.planned[pull.Number] = now
}

// try plans a pull request within its time, unless planning its head has ended the
// daemon before.
func (w *Worker) try(ctx context.Context, pull forge.Pull) error {
	ctx, cancel := context.WithTimeout(ctx, planTime)
	defer cancel()
	head := cmp.Or(pull.HeadSHA, pull.HeadRef) // a forge may not tell the commit
	deaths, err := w.Attempts.Begin(ctx, head)
	if err != nil {
		return err
	}
	if deaths >= maxDeaths {
		return w.Planner.Refuse(ctx, pull, "planning this commit has ended the daemon twice, so it is not planned again; push another commit")
	}
	done, err := w.Planner.Plan(ctx, pull)
	return errors.Join(err, done.Fault, w.Attempts.End(context.WithoutCancel(ctx), head))
}

// limited notes how long a forge wants no more requests.
func (w *Worker) limited(err error) error {
	if limited, ok := errors.AsType[*forge.RateLimited](err); ok {
		w.until = limited.Until
	}
	return err
}
