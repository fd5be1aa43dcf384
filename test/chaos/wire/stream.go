package wire

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// A stream is a watch. Its events wait in queue, from where they are told when
// the faults of its wire let them. It is guarded by the lock of the wire.
type stream struct {
	w     *Wire
	key   string
	queue []json.RawMessage
	ended bool // the server says nothing more
	cut   bool // the connection is broken
	fresh bool // the server still tells how things were at the start: that is never held back
}

// watch opens a watch. One that is resumed may have expired, or go back in time.
func (w *Wire) watch(next http.RoundTripper, q *http.Request) (*http.Response, error) {
	query := q.URL.Query()
	resumed := query.Get("resourceVersion") != "" && !query.Has("sendInitialEvents")
	back, way := w.chance(func(f Faults) float64 { return f.Rewind }, 3)
	if resumed && back && way == 0 {
		return refuse(q, http.StatusGone, "Expired"), nil
	}
	answer, err := w.faulty(q, func() (*http.Response, error) { return next.RoundTrip(q) })
	if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(answer.Header.Get("Content-Type"), "json") {
		return answer, err
	}
	s := &stream{w: w, key: q.URL.Path + "?" + query.Get("labelSelector"), fresh: query.Has("sendInitialEvents")}
	if resumed && back {
		s.queue = w.past.since(s.key, w.pick)
	}
	w.mu.Lock()
	w.streams = append(w.streams, s)
	w.mu.Unlock()
	from := answer.Body
	reader, writer := io.Pipe()
	answer.Body = both{reader, from}
	go s.listen(from)
	go s.tell(writer, from)
	return answer, nil
}

// both is a body whose end closes what it is made from, too.
type both struct {
	*io.PipeReader
	from io.Closer
}

func (b both) Close() error {
	_ = b.from.Close()
	return b.PipeReader.Close()
}

// listen takes in what the server says.
func (s *stream) listen(from io.Reader) {
	for dec := json.NewDecoder(from); ; {
		var event json.RawMessage
		if dec.Decode(&event) != nil {
			break
		}
		s.w.past.told(s.key, event)
		s.w.mu.Lock()
		if !s.w.faults.Deaf || s.fresh {
			s.queue = append(s.queue, event)
		}
		s.w.changed.Broadcast()
		s.w.mu.Unlock()
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.ended = true
	s.w.changed.Broadcast()
}

// tell passes on what is due, until the watch ends.
func (s *stream) tell(to *io.PipeWriter, from io.Closer) {
	defer from.Close()
	for {
		event, err := s.next()
		if err != nil {
			_ = to.CloseWithError(err)
			return
		}
		if _, err := to.Write(append(event, '\n')); err != nil {
			return
		}
	}
}

// next waits for an event that is due. Of what was held back, only the last event
// of each object is told: what was in between is never seen.
func (s *stream) next() (json.RawMessage, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for {
		switch {
		case s.w.killed:
			return nil, ErrKilled
		case s.cut:
			return nil, io.ErrUnexpectedEOF
		case len(s.queue) > 0 && (s.fresh || len(s.queue) > s.w.faults.Lag):
			event := s.queue[0]
			s.queue = s.queue[1:]
			if s.superseded(event) {
				continue
			}
			s.fresh = s.fresh && !isBookmark(event)
			s.cut = !s.fresh && s.w.rng.Float64() < s.w.faults.Cut
			return event, nil
		case s.ended:
			return nil, io.EOF
		}
		s.w.changed.Wait()
	}
}

// superseded reports whether a later event that waits is about the same object.
func (s *stream) superseded(event json.RawMessage) bool {
	if s.w.faults.Lag == 0 || s.fresh {
		return false
	}
	name := nameOf(event)
	for _, later := range s.queue {
		if nameOf(later) == name {
			return true
		}
	}
	return false
}

type frame struct {
	Type   string
	Object struct {
		Metadata struct {
			Namespace, Name string
		}
	}
}

func nameOf(event json.RawMessage) string {
	var f frame
	_ = json.Unmarshal(event, &f) // the server's own
	return f.Object.Metadata.Namespace + "/" + f.Object.Metadata.Name
}

func isBookmark(event json.RawMessage) bool {
	var f frame
	_ = json.Unmarshal(event, &f)
	return f.Type == "BOOKMARK"
}
