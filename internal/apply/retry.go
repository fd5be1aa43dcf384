package apply

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"golang.org/x/sync/errgroup"
)

const (
	tries      = 4                      // in all, for what may pass by itself
	patience   = 5 * time.Second        // no other try after that: a webhook that times out takes up to 30 s each
	firstDelay = 100 * time.Millisecond // before the second try; then four times as long each
	firstPoll  = 50 * time.Millisecond
	lastPoll   = 2 * time.Second
)

// retry does again what failed for a reason that may pass. All that is retried
// is idempotent: server-side apply, reads, and deletes bound to a uid. The client
// has waited already where the server said how long in a header; what it says in
// its answer alone is waited for here.
func retry(ctx context.Context, do func() error) error {
	delay, begin := firstDelay, time.Now()
	for try := 1; ; try++ {
		err := do()
		if err == nil || try == tries || !passing(err) || time.Since(begin) > patience {
			return err
		}
		seconds, _ := apierrors.SuggestsClientDelay(err)
		if sleep(ctx, max(delay/2+rand.N(delay), min(time.Duration(seconds)*time.Second, patience))) != nil {
			return err
		}
		delay *= 4
	}
}

// passing reports whether an error may pass by itself: an overloaded or
// restarting server, a broken connection.
func passing(err error) bool {
	var broken *url.Error
	return apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsTimeout(err) || isHiccup(err) ||
		errors.As(err, &broken) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}

// isHiccup tells an internal error of a part that the server depends on from
// one that the object is at fault for: a value of the wrong type is answered with
// an internal error too.
func isHiccup(err error) bool {
	return apierrors.IsInternalError(err) && (strings.Contains(err.Error(), "webhook") || strings.Contains(err.Error(), "etcdserver"))
}

// poll asks until done says so, or the wait is over, which is no error. It asks
// at least once.
func poll(ctx context.Context, wait time.Duration, done func() (bool, error)) error {
	end := time.Now().Add(wait)
	for delay := firstPoll; ; delay = min(2*delay, lastPoll) {
		ok, err := done()
		if ok || err != nil || time.Now().Add(delay).After(end) {
			return err
		}
		if err := sleep(ctx, delay); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// each runs do for all items, some at a time, up to the first error.
func each[T any](ctx context.Context, items []T, do func(context.Context, T) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for _, item := range items {
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return do(ctx, item)
		})
	}
	return g.Wait()
}
