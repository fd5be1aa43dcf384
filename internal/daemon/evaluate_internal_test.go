package daemon

import (
	"bytes"
	"encoding/gob"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/sandbox"
)

// What is missing of the walls is told once when the daemon starts, and keeps it from
// starting where the configuration says so.
func TestTellWalls(t *testing.T) {
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
			walls := sandbox.Walls{Seccomp: true, Lacks: []string{"landlock: the kernel has none"}}
			_ = gob.NewEncoder(conn).Encode(struct{ Walls *sandbox.Walls }{&walls})
		}
	}()
	for _, tt := range []struct {
		require []string
		starts  bool
	}{{nil, true}, {[]string{"seccomp"}, true}, {[]string{"landlock"}, false}} {
		var log bytes.Buffer
		h := host(&config.Config{Evaluator: config.Evaluator{Socket: socket, Require: tt.require}})
		err := tellWalls(t.Context(), h, slog.New(slog.NewTextHandler(&log, nil)))
		if tt.starts {
			if err != nil || strings.Count(log.String(), "level=WARN") != 1 || !strings.Contains(log.String(), "the kernel has none") {
				t.Errorf("require %v: %v, log %s; want one warning", tt.require, err, log.String())
			}
		} else if err == nil || !strings.Contains(err.Error(), "the kernel has none") || !strings.Contains(err.Error(), "evaluator.require") {
			t.Errorf("require %v: %v, want an error that says what is missing", tt.require, err)
		}
	}
}
