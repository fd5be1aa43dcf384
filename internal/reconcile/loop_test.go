package reconcile

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prumo.dev/prumo/internal/core"
)

// TestLoopBacksOff drives the loop on a fake clock: passes come at the interval,
// failing ones after 1 s, 2 s, 4 s, and a good one resets that.
func TestLoopBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var starts []time.Duration
		begin := time.Now()
		fails := map[int]bool{1: true, 2: true, 3: true}
		loop := &Loop{Interval: 30 * time.Second, Log: slog.New(slog.DiscardHandler),
			Pass: func(context.Context) (core.Report, error) {
				starts = append(starts, time.Since(begin))
				if len(starts) == 6 {
					cancel()
				}
				if fails[len(starts)-1] {
					return core.Report{}, errors.New("away")
				}
				return core.Report{}, nil
			}}
		loop.Run(ctx)
		wantGaps := []time.Duration{30 * time.Second, time.Second, 2 * time.Second, 4 * time.Second, 30 * time.Second}
		for i, want := range wantGaps {
			if gap := starts[i+1] - starts[i]; gap < want || gap > want+want/10+1 {
				t.Errorf("gap %d is %v, want %v plus up to a tenth", i, gap, want)
			}
		}
	})
}

// TestLoopGrace proves that a pass in hand outlives the signal by the grace
// period, and no longer.
func TestLoopGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var stopped time.Duration
		loop := &Loop{Interval: time.Minute, Grace: 20 * time.Second, Log: slog.New(slog.DiscardHandler),
			Pass: func(passCtx context.Context) (core.Report, error) {
				cancel()
				told := time.Now()
				<-passCtx.Done()
				stopped = time.Since(told)
				return core.Report{}, nil
			}}
		loop.Run(ctx)
		if stopped != 20*time.Second {
			t.Errorf("the pass was cancelled %v after the signal, want 20s", stopped)
		}
	})
}

// TestLoopWakes proves that a wake starts a pass at once, but soon after another
// only with a gap, and that a loop that backs off sleeps on.
func TestLoopWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		wake := make(chan struct{}, 1)
		var starts []time.Duration
		begin := time.Now()
		loop := &Loop{Interval: 30 * time.Second, Wake: wake, Log: slog.New(slog.DiscardHandler),
			Pass: func(context.Context) (core.Report, error) {
				starts = append(starts, time.Since(begin))
				switch len(starts) {
				case 1:
					time.AfterFunc(10*time.Second, func() { wake <- struct{}{} })
				case 2:
					wake <- struct{}{}
				case 3:
					wake <- struct{}{}
					return core.Report{}, errors.New("away")
				case 4:
					cancel()
				}
				return core.Report{}, nil
			}}
		loop.Run(ctx)
		want := []time.Duration{0, 10 * time.Second, 10*time.Second + wakeGap, 11*time.Second + wakeGap}
		for i, at := range want {
			if starts[i] < at || starts[i] > at+at/10+1 {
				t.Errorf("pass %d at %v, want %v", i, starts[i], at)
			}
		}
	})
}

// TestLoopComesBackToWhatWaits proves that a pass after which something waits is
// followed soon by others, more and more rarely, and then by none before its time.
func TestLoopComesBackToWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var starts []time.Duration
		begin := time.Now()
		waiting := &core.Result{Outcomes: []core.Outcome{{Action: core.ActionCreate, Status: core.StatusBlocked}}}
		blocked := &core.Result{Outcomes: []core.Outcome{{Action: core.ActionBlocked, Status: core.StatusBlocked}}}
		loop := &Loop{Interval: 3 * time.Second, Log: slog.New(slog.DiscardHandler),
			Pass: func(context.Context) (core.Report, error) {
				starts = append(starts, time.Since(begin))
				switch len(starts) {
				case 4:
					return core.Report{Result: blocked}, nil
				case 5:
					cancel()
				}
				return core.Report{Result: waiting}, nil
			}}
		loop.Run(ctx)
		want := []time.Duration{0, time.Second, 3 * time.Second, 6 * time.Second, 9 * time.Second}
		for i, at := range want {
			if starts[i] < at || starts[i] > at+at/10+1 {
				t.Errorf("pass %d at %v, want %v", i, starts[i], at)
			}
		}
	})
}

// TestLoopComesWhenDue proves that a pass is followed by one when something is due.
func TestLoopComesWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var starts []time.Duration
		begin := time.Now()
		loop := &Loop{Interval: 30 * time.Second, Log: slog.New(slog.DiscardHandler),
			Pass: func(context.Context) (rep core.Report, err error) {
				starts = append(starts, time.Since(begin))
				switch len(starts) {
				case 1:
					rep.Due = begin.Add(7 * time.Second)
				case 2:
					rep.Due = begin // overdue: at once, but for the gap
				case 3:
					rep.Due = begin.Add(time.Hour)
				case 4:
					cancel()
				}
				return rep, nil
			}}
		loop.Run(ctx)
		want := []time.Duration{0, 7 * time.Second, 7*time.Second + wakeGap, 37*time.Second + wakeGap}
		for i, at := range want {
			if starts[i] < at || starts[i] > at+at/10+1 {
				t.Errorf("pass %d at %v, want %v", i, starts[i], at)
			}
		}
	})
}

// TestLoopDoesNotWaitForReports proves that a report that cannot be written is told,
// and delays no pass.
func TestLoopDoesNotWaitForReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var starts []time.Duration
		begin := time.Now()
		h := &house{fullDisk: true, applied: core.Applied{Revision: core.Revision{Commit: "old"}}}
		r := h.reconciler()
		var log bytes.Buffer
		loop := &Loop{Interval: 3 * time.Second, Log: slog.New(slog.NewTextHandler(&log, nil)),
			Pass: func(ctx context.Context) (core.Report, error) {
				if starts = append(starts, time.Since(begin)); len(starts) == 6 {
					cancel()
				}
				return r.Reconcile(ctx)
			}}
		loop.Run(ctx)
		for i, at := range starts {
			if want := time.Duration(i) * 3 * time.Second; at < want || at > want+want/10+time.Duration(i+1) {
				t.Errorf("pass %d at %v, want %v", i, at, want)
			}
		}
		if !strings.Contains(log.String(), "no space left") {
			t.Errorf("the log does not tell:\n%s", &log)
		}
	})
}

// TestLoopIsWokenDespiteFaults proves that a loop whose remote is away is woken by the
// cluster, so that drift is corrected, and looks for the remote more and more rarely.
func TestLoopIsWokenDespiteFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		wake := make(chan struct{}, 1)
		var starts []time.Duration
		begin := time.Now()
		loop := &Loop{Interval: 30 * time.Second, Wake: wake, Log: slog.New(slog.DiscardHandler),
			Pass: func(context.Context) (core.Report, error) {
				switch starts = append(starts, time.Since(begin)); len(starts) {
				case 5: // the next would come after 16 s
					time.AfterFunc(2*time.Second, func() { wake <- struct{}{} })
				case 6:
					cancel()
				}
				return core.Report{Errors: []core.Fault{{Stage: core.StageFetch, Msg: "away"}}}, nil
			}}
		loop.Run(ctx)
		want := []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, 17 * time.Second}
		for i, at := range want {
			if starts[i] < at || starts[i] > at+at/5+time.Duration(i) {
				t.Errorf("pass %d at %v, want %v", i, starts[i], at)
			}
		}
	})
}
