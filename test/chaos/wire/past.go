package wire

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
)

const (
	answersKept = 32 // of each address
	eventsKept  = 64 // of each watch
)

// A Past is what an API server said before: what a member of it that lags behind
// would still say. It is shared by the processes that live one after the other.
type Past struct {
	mu      sync.Mutex
	now     int // the number of answers until now
	answers map[string][]answer
	events  map[string][]json.RawMessage
}

type answer struct {
	at     int
	status int
	header http.Header
	body   []byte
}

// NewPast returns a past in which nothing was said.
func NewPast() *Past {
	return &Past{answers: map[string][]answer{}, events: map[string][]json.RawMessage{}}
}

// ask sends a request and remembers the answer, if it is about objects. What is
// served is always told as it is.
func (p *Past) ask(next http.RoundTripper, q *http.Request) (*http.Response, error) {
	resp, err := next.RoundTrip(q)
	if err != nil || !remembered(q) || resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotFound {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now++
	p.answers[address(q)] = last(append(p.answers[address(q)], answer{p.now, resp.StatusCode, resp.Header, body}), answersKept)
	return resp, nil
}

// Now is a point in time for Faults.Stuck.
func (p *Past) Now() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// recall answers a read with one of the things that were said before, or with the
// last until a point in time, if that is not 0; nil if nothing was.
func (p *Past) recall(q *http.Request, until int, pick func(int) int) *http.Response {
	if !remembered(q) {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.answers[address(q)]
	var a answer
	if until == 0 && len(all) > 0 {
		a = all[pick(len(all))]
	}
	for _, x := range all {
		if x.at <= until {
			a = x
		}
	}
	if a.at == 0 {
		return nil
	}
	return &http.Response{StatusCode: a.status, Status: http.StatusText(a.status), Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: a.header.Clone(), Body: io.NopCloser(bytes.NewReader(a.body)), Request: q}
}

func (p *Past) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.answers)
	clear(p.events)
}

// remembered reports whether a request reads objects: /api/v1/… or /apis/group/version/….
func remembered(q *http.Request) bool {
	parts := strings.Split(strings.Trim(q.URL.Path, "/"), "/")
	return q.Method == http.MethodGet && (parts[0] == "api" && len(parts) > 2 || parts[0] == "apis" && len(parts) > 3)
}

// address tells requests apart: the same address may be asked for whole objects
// and for their metadata alone.
func address(q *http.Request) string { return q.URL.String() + " " + q.Header.Get("Accept") }

// told remembers an event of a watch.
func (p *Past) told(key string, event json.RawMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events[key] = last(append(p.events[key], event), eventsKept)
}

// since is what a watch told from a point of one's choice on; nil if it told nothing.
func (p *Past) since(key string, pick func(int) int) []json.RawMessage {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.events[key]
	if len(all) == 0 {
		return nil
	}
	return append([]json.RawMessage(nil), all[pick(len(all)):]...)
}

// last is the end of a list, at most n long.
func last[T any](list []T, n int) []T { return list[max(0, len(list)-n):] }
