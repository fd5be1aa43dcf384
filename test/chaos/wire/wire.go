package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
)

// ErrKilled is what every request of a killed process ends with.
var ErrKilled = errors.New("the process was killed")

// A Write is a request that changed the cluster, or would have. Dry-runs are none.
type Write struct {
	Method string
	Path   string
	Status int    // of the server's answer, whoever saw it; 0: never sent, or Lost
	Lost   bool   // sent, and the connection broke before the answer: nobody knows
	UID    string // of what a DELETE deleted
}

func (w Write) String() string { return fmt.Sprintf("%s %s %d", w.Method, w.Path, w.Status) }

// A Wire is the connection of one process. Its methods may be called from several
// goroutines.
type Wire struct {
	past    *Past
	dead    chan struct{}
	running sync.WaitGroup // writes under way

	mu      sync.Mutex
	changed *sync.Cond // faults have changed, or the process is dead
	rng     *rand.Rand
	faults  Faults
	writes  []Write
	reads   int
	killAt  int
	killed  bool
	sent    bool // killAt is after its write was sent
	before  func(int, *http.Request)
	streams []*stream
}

// New returns a wire without faults. Seed is what chance follows.
func New(past *Past, seed uint64) *Wire {
	w := &Wire{past: past, dead: make(chan struct{}), rng: rand.New(rand.NewPCG(seed, 0))}
	w.changed = sync.NewCond(&w.mu)
	return w
}

// Wrap is for rest.Config.Wrap.
func (w *Wire) Wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(q *http.Request) (*http.Response, error) {
		answer, err := w.roundTrip(next, q)
		if w.isDead() {
			discard(q, answer)
			return nil, ErrKilled
		}
		return answer, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(q *http.Request) (*http.Response, error) { return f(q) }

func (w *Wire) roundTrip(next http.RoundTripper, q *http.Request) (*http.Response, error) {
	if w.isDead() {
		discard(q, nil)
		return nil, ErrKilled
	}
	switch {
	case q.URL.Query().Has("watch"):
		return w.watch(next, q)
	case q.Method == http.MethodGet || q.URL.Query().Has("dryRun"):
		return w.read(next, q)
	}
	return w.write(next, q)
}

// read sends what changes nothing.
func (w *Wire) read(next http.RoundTripper, q *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.reads++
	w.mu.Unlock()
	return w.faulty(q, func() (*http.Response, error) { return w.past.ask(next, q) })
}

// write sends what changes something, if the process lives that long.
func (w *Wire) write(next http.RoundTripper, q *http.Request) (*http.Response, error) {
	n, meddle := w.begin(q)
	if meddle != nil {
		meddle(n, q)
	}
	last, sent := w.isLast(n)
	if last && !sent {
		w.Kill()
		discard(q, nil)
		return nil, ErrKilled
	}
	answer, err := w.faulty(q, func() (*http.Response, error) { return w.commit(next, q, n) })
	if last {
		w.Kill()
	}
	return answer, err
}

// begin counts a write.
func (w *Wire) begin(q *http.Request) (n int, meddle func(int, *http.Request)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes = append(w.writes, Write{Method: q.Method, Path: q.URL.Path})
	return len(w.writes), w.before
}

func (w *Wire) isLast(n int) (last, sent bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return n == w.killAt, w.sent
}

// commit sends a write. How it ends is noted even if the process does not live to
// see it: it is the server that it counts for.
func (w *Wire) commit(next http.RoundTripper, q *http.Request, n int) (*http.Response, error) {
	type end struct {
		answer *http.Response
		err    error
	}
	done := make(chan end, 1)
	w.running.Go(func() {
		answer, err := next.RoundTrip(q.WithContext(context.WithoutCancel(q.Context())))
		if err == nil {
			err = w.note(n, answer)
		}
		if err != nil {
			w.lose(n)
		}
		done <- end{answer, err}
	})
	select {
	case e := <-done:
		return e.answer, e.err
	case <-q.Context().Done():
		return nil, context.Cause(q.Context())
	}
}

// note keeps how a write ended.
func (w *Wire) note(n int, answer *http.Response) error {
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		return err
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	var deleted struct {
		Metadata, Details struct{ UID string }
	}
	if answer.Request.Method == http.MethodDelete && answer.StatusCode < 300 {
		if err := json.Unmarshal(body, &deleted); err != nil {
			return fmt.Errorf("what was deleted: %w", err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes[n-1].Status, w.writes[n-1].UID = answer.StatusCode, deleted.Metadata.UID+deleted.Details.UID
	return nil
}

func (w *Wire) lose(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes[n-1].Lost = true
}

// Unsure reports whether a write may have been carried out although no answer says
// so: a server in trouble may have done what it says it could not.
func (w Write) Unsure() bool { return w.Lost || w.Status >= http.StatusInternalServerError }

// Wait returns when all that was sent has been answered.
func (w *Wire) Wait() { w.running.Wait() }

// Writes are those of the process until now, in the order in which they began.
func (w *Wire) Writes() []Write {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.writes)
}

// Requests is the number of requests until now, watches apart.
func (w *Wire) Requests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reads + len(w.writes)
}

// Forget drops what was noted of writes, and what was said before: what is kept to
// look at is not what a process holds.
func (w *Wire) Forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes, w.reads, w.killAt = nil, 0, 0
	w.past.forget()
}

// Before has do called before each write is sent, with its number from the start:
// what others do in between.
func (w *Wire) Before(do func(n int, q *http.Request)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before = do
}

// KillAt kills the process at its nth write from the start, counted from 1: before
// it is sent, or when it was sent and before its answer is seen.
func (w *Wire) KillAt(n int, sent bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.killAt, w.sent = n, sent
}

// Kill ends the process: no answer reaches it any more, and no request the server.
func (w *Wire) Kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.killed {
		w.killed = true
		close(w.dead)
		w.changed.Broadcast()
	}
}

// Killed is closed when the process is killed.
func (w *Wire) Killed() <-chan struct{} { return w.dead }

func (w *Wire) isDead() bool {
	select {
	case <-w.dead:
		return true
	default:
		return false
	}
}

// discard closes what nobody will read.
func discard(q *http.Request, answer *http.Response) {
	if answer != nil {
		_ = answer.Body.Close()
	} else if q.Body != nil {
		_ = q.Body.Close()
	}
}
