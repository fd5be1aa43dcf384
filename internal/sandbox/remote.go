package sandbox

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// A part is what an evaluator says to the daemon, on a connection for each child: once
// the walls of the child, or why there is no child; then its output, piece by piece;
// and at last how it ended. An empty part only shows that the daemon is still there.
// The evaluator writes all of them, so a child can forge none.
//
// What the daemon says is the child's input, and nothing else.
type part struct {
	Walls   *Walls
	Refused string
	Output  []byte
	End     *ending
}

// remote is a child behind the socket of an evaluator.
type remote struct {
	conn   net.Conn
	parts  *gob.Decoder
	output []byte // not read yet
	end    *ending
}

const (
	// dialTime is how long an evaluator that does not answer is waited for: a kubelet
	// starts a container again after some seconds.
	dialTime  = 30 * time.Second
	dialEvery = 100 * time.Millisecond
)

// dial has an evaluator start a child, and returns it once its walls stand.
func dial(ctx context.Context, socket string) (process, Walls, error) {
	bounded, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	var why error // of the last try that was not cut short
	for {
		p, walls, err := dialOnce(bounded, socket)
		if err == nil {
			return p, walls, nil
		}
		if _, final := errors.AsType[*refusal](err); final {
			return nil, Walls{}, err
		}
		if why == nil || bounded.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
			why = err
		}
		select {
		case <-time.After(dialEvery):
		case <-bounded.Done():
			if ctx.Err() != nil {
				return nil, Walls{}, fmt.Errorf("%w (%w)", ctx.Err(), why)
			}
			return nil, Walls{}, fmt.Errorf("the evaluator does not answer: %w; "+
				"does it run, and with this socket (evaluator.socket)?", why)
		}
	}
}

// A refusal is that an evaluator cannot start a child.
type refusal struct{ why string }

// Error implements error.
func (r *refusal) Error() string { return "the evaluator cannot start a child: " + r.why }

func dialOnce(ctx context.Context, socket string) (*remote, Walls, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, Walls{}, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	p := &remote{conn: conn, parts: gob.NewDecoder(conn)}
	first, err := p.next()
	switch {
	case err == nil && first.Refused != "":
		err = &refusal{first.Refused}
	case err == nil && first.Walls == nil:
		err = errors.New("it says nothing of walls")
	}
	if err != nil {
		conn.Close()
		if !stop() {
			err = errors.New("it took a connection and said nothing in time; other children may keep it busy")
		}
		return nil, Walls{}, err
	}
	if !stop() {
		return nil, Walls{}, ctx.Err()
	}
	return p, *first.Walls, nil
}

// next returns the next part that says something.
func (p *remote) next() (part, error) {
	for {
		var next part
		if err := p.parts.Decode(&next); err != nil {
			return part{}, err
		}
		if next.Walls != nil || next.Refused != "" || len(next.Output) > 0 || next.End != nil {
			return next, nil
		}
	}
}

// Read implements process.
func (p *remote) Read(b []byte) (int, error) {
	for len(p.output) == 0 {
		if p.end != nil {
			return 0, io.EOF
		}
		next, err := p.next()
		if err != nil {
			return 0, err
		}
		p.output, p.end = next.Output, next.End
	}
	n := copy(b, p.output)
	p.output = p.output[n:]
	return n, nil
}

// Write implements process.
func (p *remote) Write(b []byte) (int, error) { return p.conn.Write(b) }

// kill implements process: the evaluator kills a child that nobody is connected to.
func (p *remote) kill() { p.conn.Close() }

// wait implements process. The evaluator gives the child the same patience, and then
// has to tell.
func (p *remote) wait(patience time.Duration) (how ending, byItself bool) {
	defer p.conn.Close()
	_ = p.conn.SetReadDeadline(time.Now().Add(patience))
	for p.end == nil {
		next, err := p.next()
		if err != nil {
			lost := ending{Code: -1, How: fmt.Sprintf("the connection to the evaluator broke: %v", err)}
			return lost, !errors.Is(err, os.ErrDeadlineExceeded)
		}
		p.end = next.End
	}
	return *p.end, true
}
