package wire

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Faults say how often, from 0 to 1, what goes wrong.
type Faults struct {
	Refuse float64 // a request is answered with 409, 429, 500, 503 or 504 and does nothing
	Lose   float64 // a request does not arrive, or its answer does not: nobody can tell which
	Cut    float64 // an answer ends in the middle, or a watch after an event
	Stale  float64 // a read is answered with what was true before
	Stuck  int     // all that was asked before is answered as it last was until this Past.Now
	Rewind float64 // a watch that is resumed tells again what it told before, or has expired
	Lag    int     // a watch keeps its last events to itself, and tells only the last of each object
	Deaf   bool    // a watch tells nothing, and what happens meanwhile is never told
}

// Set changes what goes wrong from now on.
func (w *Wire) Set(f Faults) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = f
	w.changed.Broadcast()
}

// Cut ends all watches.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.streams {
		s.cut = true
	}
	w.streams = nil
	w.changed.Broadcast()
}

// chance reports whether something happens that does so at a rate, and one of n
// ways in which it does.
func (w *Wire) chance(rate func(Faults) float64, n int) (bool, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.Float64() < rate(w.faults), w.rng.IntN(n)
}

// refusals are answers of a server that has trouble. A client that is told to
// retry at once does so by itself.
var refusals = []struct {
	code   int
	reason string
}{
	{http.StatusConflict, "Conflict"},
	{http.StatusTooManyRequests, "TooManyRequests"},
	{http.StatusInternalServerError, "InternalError"},
	{http.StatusServiceUnavailable, "ServiceUnavailable"},
	{http.StatusGatewayTimeout, "Timeout"},
}

// faulty sends a request, if nothing happens to it.
func (w *Wire) faulty(q *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
	if hit, i := w.chance(func(f Faults) float64 { return f.Refuse }, len(refusals)); hit && q.URL.Path != "/api" && q.URL.Path != "/apis" {
		discard(q, nil)
		return refuse(q, refusals[i].code, refusals[i].reason), nil
	}
	lost, way := w.chance(func(f Faults) float64 { return f.Lose }, 3)
	if lost && way == 0 {
		discard(q, nil)
		return nil, lostError{}
	}
	if answer := w.stale(q); answer != nil {
		discard(q, nil)
		return answer, nil
	}
	answer, err := send()
	if err != nil {
		return nil, err
	}
	if lost {
		discard(q, answer)
		if way == 1 {
			return nil, io.ErrUnexpectedEOF
		}
		return nil, lostError{}
	}
	if hit, _ := w.chance(func(f Faults) float64 { return f.Cut }, 1); hit && !q.URL.Query().Has("watch") {
		return cut(answer)
	}
	return answer, nil
}

// stale is an answer of a server that lags, if it is to be given.
func (w *Wire) stale(q *http.Request) *http.Response {
	hit, _ := w.chance(func(f Faults) float64 { return f.Stale }, 1)
	w.mu.Lock()
	until := w.faults.Stuck
	w.mu.Unlock()
	if !hit && until == 0 {
		return nil
	}
	return w.past.recall(q, until, w.pick)
}

// pick is a number below n.
func (w *Wire) pick(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.IntN(n)
}

// refuse is the answer of a server that does nothing.
func refuse(q *http.Request, code int, reason string) *http.Response {
	body := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"message":"chaos","code":%d}`, reason, code)
	header := http.Header{"Content-Type": {"application/json"}}
	if code == http.StatusTooManyRequests {
		header.Set("Retry-After", "0")
	}
	return &http.Response{StatusCode: code, Status: http.StatusText(code), Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: q}
}

// cut is an answer of which the second half is missing.
func cut(answer *http.Response) (*http.Response, error) {
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), broken{}))
	return answer, nil
}

// broken is a connection that has ended where it should not.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A lostError is what a client sees of a packet that never comes back.
type lostError struct{}

func (lostError) Error() string   { return "i/o timeout" }
func (lostError) Timeout() bool   { return true }
func (lostError) Temporary() bool { return true }
