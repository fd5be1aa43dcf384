package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/drift"
)

// A Loop runs passes until it is told to stop.
type Loop struct {
	Pass     func(ctx context.Context) (core.Report, error)
	Interval time.Duration   // between two passes, if nothing wakes the loop before
	Wake     <-chan struct{} // something may have changed: run a pass now; may be nil
	Grace    time.Duration   // how long a pass may go on after ctx ends
	Log      *slog.Logger

	waiting string // the approval that was asked for last
}

// maxBackoff bounds the time between two passes that fail.
const maxBackoff = 5 * time.Minute

// wakeGap is the least time between the starts of a pass and of one that is woken
// after it: whoever fights with us does not set the pace.
const wakeGap = 500 * time.Millisecond

// Run runs passes until ctx ends, and then waits for the one in hand for at most
// Grace. A pass that fails is tried again after a second, doubling up to the
// larger of Interval and five minutes, and until then nothing wakes the loop. After
// one that did its work and met a fault beside, such as a remote that is away or a
// disk that is full, the time is the same, but the cluster wakes the loop: drift is
// corrected all the same. One
// after which a change still waits for another comes again as soon, but within
// Interval: that something is ready now wakes nobody. One whose report says when
// something is due is followed by one then.
func (l *Loop) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	failures, waiting, deaf := 0, 0, false
	var started time.Time
	for {
		if ended := l.sleep(ctx, timer, started, deaf); ended {
			return
		}
		started = time.Now()
		rep, err := l.once(ctx)
		deaf = err != nil && !errors.Is(err, context.Canceled)
		failures = count(failures, deaf || faulty(rep))
		waiting = count(waiting, rep.Result != nil && slices.ContainsFunc(rep.Result.Outcomes, waits))
		wait := l.wait(failures, waiting)
		if due := time.Until(rep.Due); failures == 0 && !rep.Due.IsZero() && due < wait {
			wait = max(due, wakeGap)
		}
		timer.Reset(wait)
	}
}

// sleep waits for the next pass, and says whether ctx has ended. A deaf loop is not
// woken.
func (l *Loop) sleep(ctx context.Context, timer *time.Timer, started time.Time, deaf bool) (ended bool) {
	wake := l.Wake
	if deaf {
		wake = nil
	}
	for {
		select {
		case <-ctx.Done():
			return true
		case <-timer.C:
			return false
		case <-wake:
			wake = nil
			timer.Reset(wakeGap - time.Since(started))
		}
	}
}

// once runs one pass under a context that outlives ctx by the grace period.
func (l *Loop) once(ctx context.Context) (core.Report, error) {
	passCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(l.Grace, cancel) })
	defer stop()

	start := time.Now()
	rep, err := l.Pass(passCtx)
	l.log(rep, err, time.Since(start))
	return rep, err
}

// faulty reports whether a pass met a fault beside. A report that cannot be written is
// no reason for the next pass to come later.
func faulty(rep core.Report) bool {
	return slices.ContainsFunc(rep.Errors, func(f core.Fault) bool { return f.Stage != core.StageReport })
}

// count is how often in a row something was so.
func count(n int, so bool) int {
	if !so {
		return 0
	}
	return n + 1
}

// wait returns the time to the next pass, with up to a tenth of jitter so that
// many daemons do not fall into step.
func (l *Loop) wait(failures, waiting int) time.Duration {
	d := l.Interval
	switch {
	case failures > 0:
		d = min(time.Second<<min(failures-1, 16), max(maxBackoff, l.Interval))
	case waiting > 0:
		d = min(time.Second<<min(waiting-1, 16), l.Interval)
	}
	return d + rand.N(d/10+1)
}

func (l *Loop) log(rep core.Report, err error, took time.Duration) {
	attrs := []any{"revision", rep.Revision.Short(), "took", took.Round(time.Millisecond)}
	if rep.Plan != nil {
		attrs = append(attrs, "changes", len(rep.Plan.Changes), "drift", len(rep.Drift.Changes), "unchanged", rep.Plan.Unchanged)
	}
	if rep.Result != nil {
		attrs = append(attrs, "applying", rep.Result.Took.Round(time.Millisecond), "done", rep.Result.Count(core.StatusDone), "failed", rep.Result.Count(core.StatusFailed),
			"blocked", rep.Result.Count(core.StatusBlocked), "held", rep.Result.Count(core.StatusHeld))
	}
	if rep.Refused != nil && rep.Refused.Refusal != nil {
		attrs := []any{"to", rep.Refused.To, "reason", rep.Refused.Refusal.String()}
		l.Log.Warn("revision refused, the last good one stays in force", withDetail(attrs, rep.Refused.Refusal.Detail)...)
	}
	for _, w := range rep.Warnings {
		l.Log.Warn("look at this", "code", w.Code, "found", w.Found, "remedy", w.Remedy)
	}
	for _, p := range rep.Problems {
		l.Log.Warn("problem in the repo", withDetail([]any{"at", p.Pos.String(), "message", p.Msg}, p.Detail)...)
	}
	for _, r := range rep.News {
		l.news(r)
	}
	for _, f := range rep.Errors {
		l.Log.Error("stage failed", "stage", f.Stage, "error", f.Msg)
	}
	l.ask(rep)
	if err != nil {
		l.Log.Error("pass failed", append(attrs, "error", err)...)
		return
	}
	l.Log.Info("pass done", attrs...)
}

// withDetail adds what a server says to the attributes of a log line, if it says
// something.
func withDetail(attrs []any, detail string) []any {
	if detail == "" {
		return attrs
	}
	return append(attrs, "detail", detail)
}

// shownHeld is how many of the changes that wait for an approval are named.
const shownHeld = 10

// ask logs, once for each plan, what waits for an approval and the command to give it,
// and who approved what is done now.
func (l *Loop) ask(rep core.Report) {
	if rep.Plan == nil {
		return
	}
	if who := rep.Plan.Approval; len(who.Begun) > 0 && rep.Result != nil {
		l.Log.Warn("carries out what was approved", "by", who.By, "plan", rep.Plan.Hash, "done", rep.Result.Count(core.StatusDone))
	}
	command, held, names := "", 0, []string(nil)
	for _, part := range []*core.Plan{rep.Plan, rep.Drift} {
		for _, c := range part.Changes {
			if !c.Approvable {
				continue
			}
			command = part.Approve
			if held++; held <= shownHeld {
				names = append(names, string(c.Wanted)+" "+c.ID.String())
			}
		}
	}
	if command != "" && command != l.waiting {
		l.Log.Warn("waits for an approval", "held", held, "changes", names, "approve", command)
	}
	l.waiting = command
}

// news logs what became of one drift.
func (l *Loop) news(r core.DriftRecord) {
	attrs := []any{"object", r.Object.String(), "field", r.Path, "class", r.Class, "by", r.Manager, "spec", r.Spec.String(), "at", r.Pos.String()}
	switch {
	case r.State == core.DriftOpen && r.Fight != nil:
		l.Log.Warn(drift.Quarrel(r), append(attrs, "until", r.Fight.Until)...)
	case r.State == core.DriftOpen:
		l.Log.Warn("drift", append(attrs, "found", r.Found, "wanted", r.Wanted)...)
	default:
		l.Log.Info("drift "+string(r.State), append(attrs, "firstSeen", r.FirstSeen)...)
	}
}
