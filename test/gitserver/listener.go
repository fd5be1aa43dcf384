package gitserver

import (
	"net"
	"sync"
	"sync/atomic"
)

// A listener counts what its connections send. While it is down it drops every
// connection, open ones included.
type listener struct {
	net.Listener
	sent  atomic.Int64
	mu    sync.Mutex
	down  bool
	conns map[*conn]bool
}

func listen() (*listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &listener{Listener: l, conns: map[*conn]bool{}}, nil
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: raw, l: l}
		l.mu.Lock()
		down := l.down
		if !down {
			l.conns[c] = true
		}
		l.mu.Unlock()
		if !down {
			return c, nil
		}
		raw.Close()
	}
}

// SetDown makes the server unreachable, or reachable again at the same address.
func (l *listener) SetDown(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
	if down {
		for c := range l.conns {
			c.Conn.Close()
		}
		clear(l.conns)
	}
}

// Sent returns how many bytes clients were sent so far, encryption included.
func (l *listener) Sent() int64 { return l.sent.Load() }

type conn struct {
	net.Conn
	l *listener
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.l.sent.Add(int64(n))
	return n, err
}

func (c *conn) Close() error {
	c.l.mu.Lock()
	delete(c.l.conns, c)
	c.l.mu.Unlock()
	return c.Conn.Close()
}
