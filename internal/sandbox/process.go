package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// Command is the hidden subcommand that the child is started with. Its arguments are
// for Serve.
const Command = "evaluate"

// greetTime is how long a child may take to start and raise its walls, on a machine
// that is busy.
const greetTime = 30 * time.Second

// maxStderr bounds what is kept of a child's standard error, in bytes.
const maxStderr = 4 << 10

// local is a child of this process.
type local struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr head
}

// startLocal starts this program as a child with a limit of memory in bytes, and
// returns it once its walls stand. No error is the fault of what it will evaluate.
func startLocal(ctx context.Context, memory int64) (*local, Walls, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, Walls{}, err
	}
	p := &local{stderr: head{limit: maxStderr}}
	p.cmd = exec.Command(exe, Command, strconv.FormatInt(memory, 10))
	p.cmd.Args[0] = os.Args[0] // a program that is several by its name stays the one it is
	p.cmd.Env = []string{}
	p.cmd.Dir = "/"
	p.cmd.Stderr = &p.stderr
	p.cmd.SysProcAttr = endsWithParent()
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, Walls{}, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, Walls{}, err
	}
	p.stdout = bufio.NewReader(stdout)
	if err := hide(); err != nil {
		return nil, Walls{}, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, Walls{}, fmt.Errorf("start a child process: %w", err)
	}
	walls, err := p.greeting(ctx)
	if err != nil {
		how, _ := p.wait(patience)
		if ctx.Err() != nil {
			return nil, Walls{}, ctx.Err()
		}
		return nil, Walls{}, fmt.Errorf("a child process did not start: %w (%s; %s)", err, how.How, how.lastWord())
	}
	return p, walls, nil
}

// greeting reads the walls of a child that started.
func (p *local) greeting(ctx context.Context) (w Walls, err error) {
	ctx, cancel := context.WithTimeout(ctx, greetTime)
	defer cancel()
	stop := context.AfterFunc(ctx, p.kill)
	defer stop()
	line, err := p.stdout.ReadSlice('\n')
	if err != nil {
		return w, err
	}
	if err := json.Unmarshal(line, &w); err != nil {
		return w, err
	}
	if !stop() {
		return w, errors.New("it took too long")
	}
	return w, nil
}

// Read implements process.
func (p *local) Read(b []byte) (int, error) { return p.stdout.Read(b) }

// Write implements process.
func (p *local) Write(b []byte) (int, error) { return p.stdin.Write(b) }

// kill implements process.
func (p *local) kill() { _ = p.cmd.Process.Kill() } // it may have ended

// wait implements process.
func (p *local) wait(patience time.Duration) (how ending, byItself bool) {
	timer := time.AfterFunc(patience, p.kill)
	err := p.cmd.Wait()
	byItself = timer.Stop()
	how = ending{Code: p.cmd.ProcessState.ExitCode(), How: p.cmd.ProcessState.String(), Stderr: string(p.stderr.kept)}
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		how.How = err.Error()
	}
	return how, byItself
}

// A head keeps the first bytes that are written.
type head struct {
	kept  []byte
	limit int
}

// Write implements io.Writer.
func (h *head) Write(p []byte) (int, error) {
	h.kept = append(h.kept, p[:min(len(p), h.limit-len(h.kept))]...)
	return len(p), nil
}
