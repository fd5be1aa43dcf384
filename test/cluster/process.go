package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// A server is how to run one program of the control plane.
type server struct {
	name  string
	args  []string
	ready func(context.Context) error // asked again until it is nil; nil: nothing waits for it
	grace time.Duration               // time to end by itself when stopped; 0: it has nothing to save
}

// A process is a server that runs.
type process struct {
	server
	cmd  *exec.Cmd
	log  string        // path of what it printed
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done only
}

// run starts a server and waits until it is ready.
func (c *Cluster) run(ctx context.Context, s server) error {
	p, err := c.spawn(s)
	if err != nil {
		return err
	}
	return p.awaitReady(ctx)
}

// spawn starts a server without waiting for it.
func (c *Cluster) spawn(s server) (*process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil, fmt.Errorf("start %s: the cluster is stopped", s.name)
	}
	p := &process{server: s, log: c.path(s.name + ".log"), done: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	defer out.Close() // the child has its own descriptor
	p.cmd = exec.Command(c.bins[s.name], s.args...)
	p.cmd.Dir = c.dir
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := spawn(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	c.running = append(c.running, p)
	return p, nil
}

// awaitReady asks until the server is ready, has ended, or the time is over.
func (p *process) awaitReady(ctx context.Context) error {
	if p.ready == nil {
		return p.died()
	}
	for {
		err := p.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.died()
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w (last: %w)\n%s", p.name, context.Cause(ctx), err, p.tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// died returns an error if the server has ended, with the last it printed.
func (p *process) died() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended by itself (%s):\n%s", p.name, p.cmd.ProcessState, p.tail())
	default:
		return nil
	}
}

// stop ends the server and returns when it is gone.
func (p *process) stop() {
	if p.grace > 0 {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may be gone
		select {
		case <-p.done:
			return
		case <-time.After(p.grace):
		}
	}
	_ = p.cmd.Process.Kill() // it may be gone
	<-p.done
}

// tail returns the last lines that the server printed.
func (p *process) tail() string {
	const lines, width = 12, 4096
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	last := bytes.Join(all[max(0, len(all)-lines):], []byte("\n"))
	return string(last[max(0, len(last)-width):])
}
