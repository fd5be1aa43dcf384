package main

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
	"strings"
	"syscall"
	"time"
)

// passTimeout bounds how long a pass is waited for.
const passTimeout = 10 * time.Minute

// ticks is USER_HZ, in which Linux tells CPU time.
const ticks = 100

// A pass is what the daemon logs of one.
type pass struct {
	Msg       string        `json:"msg"`
	Took      time.Duration `json:"took"`
	Applying  time.Duration `json:"applying"`
	Changes   int           `json:"changes"`
	Unchanged int           `json:"unchanged"`
	Done      int           `json:"done"`
	Failed    int           `json:"failed"`
	Blocked   int           `json:"blocked"`
	at        time.Time
}

// A daemon is the reconciler as a process.
type daemon struct {
	cmd      *exec.Cmd
	started  time.Time
	passes   chan pass
	log      *tail
	children children
}

func startDaemon(bin, config string) (*daemon, error) {
	d := &daemon{cmd: exec.Command(bin, "run", "--config", config), passes: make(chan pass, 10_000), log: &tail{}}
	stderr, err := d.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	d.started = time.Now()
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	go d.read(stderr)
	go d.children.watch(d.cmd.Process.Pid)
	return d, nil
}

// read turns the log into passes until it ends.
func (d *daemon) read(log io.Reader) {
	defer close(d.passes)
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var p pass
		d.log.add(lines.Text())
		if json.Unmarshal(lines.Bytes(), &p) == nil && p.Msg == "pass done" {
			p.at = time.Now()
			d.passes <- p
		}
	}
}

// wait returns the next pass that is as wanted.
func (d *daemon) wait(ctx context.Context, wanted func(pass) bool) (pass, error) {
	deadline := time.After(passTimeout)
	for {
		select {
		case p, ok := <-d.passes:
			switch {
			case !ok:
				return p, fmt.Errorf("the daemon has ended:\n%s", d.log)
			case wanted(p):
				return p, nil
			}
		case <-ctx.Done():
			return pass{}, context.Cause(ctx)
		case <-deadline:
			return pass{}, fmt.Errorf("the pass that is waited for does not come:\n%s", d.log)
		}
	}
}

// forget drops the passes that have been.
func (d *daemon) forget() (n int) {
	for len(d.passes) > 0 {
		<-d.passes
		n++
	}
	return n
}

func (d *daemon) stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	for range d.passes { // until the log ends: only then may it be waited for
	}
	if err := d.cmd.Wait(); err != nil {
		return fmt.Errorf("the daemon: %w\n%s", err, d.log)
	}
	return nil
}

// memory is what the process holds, and the most that it ever held, in MB. Of program
// is what lies in the file of the program, which Linux reads and drops as it likes.
func (d *daemon) memory() (now, program, peak float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		return 0, 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		switch name {
		case "VmRSS":
			now = kib * 1024 / 1e6
		case "RssFile":
			program = kib * 1024 / 1e6
		case "VmHWM":
			peak = kib * 1024 / 1e6
		}
	}
	if now == 0 || peak == 0 {
		return 0, 0, 0, errors.New("the memory of the daemon cannot be read")
	}
	return now, program, peak, nil
}

// cpu is the CPU time that the process has used.
func (d *daemon) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("the CPU time of the daemon cannot be read")
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / ticks, errors.Join(err1, err2)
}

// A tail is the last lines of a log, to be shown when something fails.
type tail struct{ lines []string }

func (t *tail) add(line string) { t.lines = append(t.lines[max(0, len(t.lines)-9):], line) }

// String may be called once the log is not written to any more, or for a fault.
func (t *tail) String() string { return strings.Join(t.lines, "\n") }
