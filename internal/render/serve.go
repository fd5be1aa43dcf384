package render

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"sync"

	"prumo.dev/prumo/internal/core"
)

// Serve is a Child: it evaluates what in asks for, and answers to out, until in ends.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	loader, err := loadBuiltin()
	if err != nil {
		return err
	}
	s := &server{loader: loader, in: gob.NewDecoder(in), out: gob.NewEncoder(out)}
	for {
		var q question
		if err := s.in.Decode(&q); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read what to evaluate: %w", err)
		}
		if err := s.out.Encode(s.answer(ctx, q)); err != nil {
			return fmt.Errorf("write what it says: %w", err)
		}
	}
}

// A server answers the questions of one distant.
type server struct {
	loader *builtin
	shared *shared

	mu  sync.Mutex // CUE may read files side by side
	in  *gob.Decoder
	out *gob.Encoder
}

func (s *server) answer(ctx context.Context, q question) (a answer) {
	var err error
	switch {
	case q.Basis != nil:
		q.Basis.read = s.fetch
		if s.shared, a.Problems = s.loader.load(q.Basis); s.shared != nil {
			a.Path = s.shared.path
		}
	case s.shared == nil:
		a.Failure = "no basis was loaded"
	case q.Unit != nil:
		a.Outcome, err = s.shared.complete(ctx, q.Unit, q.Deps)
	default:
		a.Says, err = s.shared.read(ctx, q.Name, q.Src)
	}
	if f, ok := errors.AsType[*failure](err); ok {
		a.Failure = f.why
	}
	return a
}

// fetch asks for a file.
func (s *server) fetch(name string) ([]byte, *core.Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var q question
	err := s.out.Encode(answer{Wants: name})
	if err == nil {
		err = s.in.Decode(&q)
	}
	if err != nil {
		p := problem(core.Pos{File: name}, "cannot be read: %v", err)
		return nil, &p
	}
	return q.Src, q.Problem
}
