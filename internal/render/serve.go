package render

import (
	"context"
	"encoding/gob"
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
	s := &server{in: gob.NewDecoder(in), out: gob.NewEncoder(out)}
	var first question
	if err := s.in.Decode(&first); err != nil {
		return fmt.Errorf("read the basis: %w", err)
	}
	first.Basis.read = s.fetch
	sh, problems := loader.load(first.Basis)
	if sh == nil {
		return s.out.Encode(answer{Problems: problems})
	}
	if err := s.out.Encode(answer{Path: sh.path}); err != nil {
		return fmt.Errorf("write what the basis says: %w", err)
	}
	for {
		var q question
		if err := s.in.Decode(&q); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read what to evaluate: %w", err)
		}
		if err := s.out.Encode(sh.answer(ctx, q)); err != nil {
			return fmt.Errorf("write what it says: %w", err)
		}
	}
}

// answer answers a question about a file or a unit.
func (sh *shared) answer(ctx context.Context, q question) (a answer) {
	var err error
	if q.Unit != nil {
		a.Outcome, err = sh.complete(ctx, q.Unit, q.Deps)
	} else {
		a.Says, err = sh.read(ctx, q.Name, q.Src)
	}
	if err != nil {
		a.Failure = err.Error()
	}
	return a
}

// A server is the side of the child.
type server struct {
	mu  sync.Mutex // CUE may read files side by side
	in  *gob.Decoder
	out *gob.Encoder
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
