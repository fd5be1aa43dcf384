package sandbox

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// So many children at a time; another connection waits until one of them is gone.
func TestServerServesSoMany(t *testing.T) {
	h := Host{Socket: evaluator(t, &Server{})}
	var seated []*Child
	for range MaxServed {
		seated = append(seated, start(t, h, Limits{}))
	}
	short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if c, err := h.Start(short, Limits{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one more child: %v, %v; want it to wait", c, err)
	}
	seated[0].Close()
	for _, c := range append(seated[1:], start(t, h, Limits{})) {
		if _, err := say(t.Context(), c, "one"); err != nil {
			t.Error(err)
		}
	}
}

// A child that takes no input and says nothing does not outlive its connection.
func TestServerEndsWhatNobodyWaitsFor(t *testing.T) {
	h := Host{Socket: evaluator(t, &Server{})}
	for range 2 * MaxServed { // more than there are seats
		c := start(t, h, Limits{Time: 50 * time.Millisecond})
		err := c.Do(t.Context(), func() error {
			if _, err := fmt.Fprintln(c, "loop"); err != nil {
				return err
			}
			_, err := c.Write(make([]byte, 4<<20)) // more than all that lies between
			return err
		})
		var exceeded *Exceeded
		if !errors.As(err, &exceeded) {
			t.Fatal(err)
		}
	}
	c := start(t, h, Limits{})
	if _, err := say(t.Context(), c, "one"); err != nil {
		t.Error(err)
	}
}

// An evaluator that is not there is waited for, and is nobody's fault. One that is gone
// in between is the end of its children, for no reason of theirs.
func TestEvaluatorIsRestarted(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	h := Host{Socket: socket}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := h.Start(short, Limits{})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no evaluator: %v", err)
	}
	ending, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan *Child)
	go func() {
		patient, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		c, err := h.Start(patient, Limits{})
		if err != nil {
			t.Error(err)
			close(started)
			return
		}
		started <- c
	}()
	conn, err := ending.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	ending.Close()
	stop := serve(t, &Server{}, socket)
	c, ok := <-started
	if !ok {
		return
	}
	stop()
	_, err = say(t.Context(), c, "one")
	var death *Death
	if !errors.As(err, &death) {
		t.Errorf("an evaluator that stopped: %v, want a death", err)
	}
	serve(t, &Server{}, socket)
	if _, err := say(t.Context(), start(t, h, Limits{}), "one"); err != nil {
		t.Error(err)
	}
}

// What a child says is output, also where it looks like the evaluator's own words.
func TestChildForgesNothing(t *testing.T) {
	h := Host{Socket: evaluator(t, &Server{})}
	c := start(t, h, Limits{})
	_, err := say(t.Context(), c, "forge")
	var exceeded *Exceeded
	if !errors.As(err, &exceeded) || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("error %v, want one that blames the line", err)
	}
}

// Walls that are required and do not stand keep a child from being used.
func TestRequire(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() { // an evaluator on an old kernel
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = gob.NewEncoder(conn).Encode(part{Walls: &Walls{Seccomp: true, Lacks: []string{"landlock: the kernel has none"}}})
		}
	}()
	walls, err := Host{Socket: socket, Require: []string{WallSeccomp}}.Probe(t.Context())
	if err != nil || len(walls.Lacks) != 1 {
		t.Errorf("walls %+v, %v", walls, err)
	}
	_, err = Host{Socket: socket, Require: []string{WallSeccomp, WallLandlock}}.Probe(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the kernel has none") {
		t.Errorf("error %v, want one that says what is missing", err)
	}
}
