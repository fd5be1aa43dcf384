package sandbox

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// A Server is an evaluator: it starts a child for each connection to its socket,
// carries its input and output, and tells how it ended. It looks at neither.
type Server struct {
	Log *slog.Logger // nil: nothing is logged
}

// MaxServed is how many children run at a time: two for what is obeyed and one for
// what is proposed, so that neither waits for the other. They must fit in the memory
// of the container. Other connections wait.
const MaxServed = 3

const (
	// maxLife bounds a child whatever its daemon says: longer than any tree may take.
	maxLife = 15 * time.Minute

	// pulse is how often a connection is tried whose child says nothing.
	pulse = time.Second
)

// Listen listens on a Unix socket that the user and the group of this process may
// connect to. A socket that an evaluator left behind is replaced.
func Listen(socket string) (net.Listener, error) {
	if info, err := os.Lstat(socket); err == nil && info.Mode().Type() == fs.ModeSocket {
		if err := os.Remove(socket); err != nil {
			return nil, fmt.Errorf("replace the socket that was left behind: %w", err)
		}
	}
	ln, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(socket, 0o660); err != nil {
		ln.Close()
		return nil, err
	}
	return ln, nil
}

// Serve serves until ctx ends, and then kills the children.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	seats := make(chan struct{}, MaxServed)
	for {
		seats <- struct{}{}
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("accept a connection: %w", err)
		}
		wg.Go(func() {
			defer func() { <-seats }()
			defer conn.Close()
			if err := s.serve(ctx, conn); err != nil && s.Log != nil {
				s.Log.Error("no child for a connection", "error", err)
			}
		})
	}
}

// serve starts a child for a connection, and returns when it is gone.
func (s *Server) serve(ctx context.Context, conn net.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, maxLife)
	defer cancel()
	to := &sender{parts: gob.NewEncoder(conn)}
	p, walls, err := startLocal(ctx, DefaultMemory)
	if err != nil {
		return errors.Join(err, to.send(part{Refused: err.Error()}))
	}
	defer context.AfterFunc(ctx, p.kill)()
	if err := to.send(part{Walls: &walls}); err != nil {
		p.kill()
	}
	go func() {
		defer p.kill()
		carry(conn, func(b []byte) error { _, err := p.Write(b); return err })
	}()
	over := make(chan struct{})
	go watch(to, p, over)
	carry(p, func(b []byte) error { return to.send(part{Output: b}) })
	how, _ := p.wait(patience)
	close(over)
	_ = to.send(part{End: &how}) // whoever asked may be gone
	if s.Log != nil {
		s.Log.Debug("a child ended", "how", how.How)
	}
	return nil
}

// carry hands on what from says, until that ends or to fails.
func carry(from io.Reader, to func([]byte) error) {
	room := make([]byte, 32<<10)
	for {
		n, err := from.Read(room)
		if n > 0 && to(room[:n]) != nil || err != nil {
			return
		}
	}
}

// watch kills a child once nobody is connected to it any more. A read would not tell
// while the child takes no input.
func watch(to *sender, p process, over <-chan struct{}) {
	ticker := time.NewTicker(pulse)
	defer ticker.Stop()
	for {
		select {
		case <-over:
			return
		case <-ticker.C:
			if to.send(part{}) != nil {
				p.kill()
				return
			}
		}
	}
}

// A sender sends parts of many goroutines.
type sender struct {
	mu    sync.Mutex
	parts *gob.Encoder
}

func (s *sender) send(p part) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parts.Encode(p)
}
