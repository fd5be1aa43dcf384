package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"
)

// A server is how to run one program of the control plane.
type server struct {
	name string
	args []string
}

// A process is a server that runs.
type process struct {
	server
	cmd  *exec.Cmd
	log  string        // path of what it printed
	done chan struct{} // closed when it has ended
}

// spawn starts a server without waiting for it.
func (c *Cluster) spawn(s server) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return fmt.Errorf("start %s: the cluster is stopped", s.name)
	}
	if slices.ContainsFunc(c.running, func(p *process) bool { return p.name == s.name }) {
		return fmt.Errorf("start %s: it runs already", s.name)
	}
	p := &process{server: s, log: c.path(s.name + ".log"), done: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	defer out.Close() // the child has its own descriptor
	p.cmd = exec.Command(c.bins[s.name], s.args...)
	p.cmd.Dir = c.dir
	p.cmd.Env = []string{"HOME=" + c.dir} // variables such as ETCD_NAME are flags of etcd
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := spawn(p.cmd); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState keeps how it ended
		close(p.done)
	}()
	c.running = append(c.running, p)
	return nil
}

// await asks until there is no error, and gives up when the context ends or a
// server has died, which nothing restarts.
func (c *Cluster) await(ctx context.Context, what string, ask func(context.Context) error) error {
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		if dead := c.dead(); dead != nil {
			return dead
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w (last: %w)", what, context.Cause(ctx), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// dead returns an error if a server has ended by itself.
func (c *Cluster) dead() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, p := range c.running {
		errs = append(errs, p.died())
	}
	return errors.Join(errs...)
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

// stop kills the server and returns when it is gone. None has anything to save:
// etcd has written what it has confirmed, and the others keep nothing.
func (p *process) stop() {
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
