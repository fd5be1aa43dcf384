package sandbox

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"time"

	"prumo.dev/prumo/internal/core"
)

// Command is the hidden subcommand that the child is started with.
const Command = "render-sandboxed"

// Limits bound one evaluation.
type Limits struct {
	Time   time.Duration // wall clock; default 30 s
	Memory int64         // bytes that the child may hold; default 1 GiB
	Files  int64         // bytes of all files together; default 64 MiB
	Output int64         // bytes of what it renders; default 256 MiB
}

func (l Limits) orDefaults() Limits {
	if l.Time == 0 {
		l.Time = 30 * time.Second
	}
	if l.Memory == 0 {
		l.Memory = 1 << 30
	}
	if l.Files == 0 {
		l.Files = 64 << 20
	}
	if l.Output == 0 {
		l.Output = 256 << 20
	}
	return l
}

// Exit codes of the child that mean something.
const (
	exitFailed = 1
	exitMemory = 75
)

// request is what the child reads from standard input.
type request struct {
	Revision core.Revision
	Memory   int64
	Zip      []byte // the tree: package zip's reader is a file system
}

// A Renderer renders in a child process of the program Exe.
type Renderer struct {
	Exe    string // program to start; empty means this one
	Limits Limits
}

// Render is the render of core.Renderer's shape, bounded. What goes over a limit
// is a Problem of the tree, since its author can mend it.
func (r *Renderer) Render(ctx context.Context, tree core.Tree) (core.Rendering, error) {
	limits := r.Limits.orDefaults()
	archive, err := pack(tree.FS, limits.Files)
	if err != nil {
		return refused(err.Error()), nil
	}
	input, err := json.Marshal(request{tree.Revision, limits.Memory, archive})
	if err != nil {
		return core.Rendering{}, err
	}
	exe := r.Exe
	if exe == "" {
		if exe, err = os.Executable(); err != nil {
			return core.Rendering{}, err
		}
	}
	bounded, cancel := context.WithTimeout(ctx, limits.Time)
	defer cancel()
	out, errOut := &limitedBuffer{limit: limits.Output}, &limitedBuffer{limit: 4 << 10}
	cmd := exec.CommandContext(bounded, exe, Command)
	cmd.Args[0] = os.Args[0] // a program that is several by its name stays the one it is
	cmd.Env = []string{"GOMAXPROCS=2"}
	cmd.Dir = os.TempDir()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), out, errOut
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return core.Rendering{}, ctx.Err()
	case bounded.Err() != nil:
		return refused(fmt.Sprintf("evaluation took longer than %v and was stopped; look for unbounded comprehensions or references", limits.Time)), nil
	case cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == exitMemory:
		return refused(fmt.Sprintf("evaluation needed more than %d MiB and was stopped", limits.Memory>>20)), nil
	case err != nil:
		return core.Rendering{}, fmt.Errorf("render in a child process: %w: %s", err, strings.TrimSpace(errOut.String()))
	}
	return decode(out.Bytes())
}

// Serve is the child: it renders what standard input holds with render and
// writes the rendering to standard output. It returns the exit code.
func Serve(ctx context.Context, render func(context.Context, core.Tree) (core.Rendering, error)) int {
	var req request
	if err := json.NewDecoder(os.Stdin).Decode(&req); err != nil {
		fmt.Fprintln(os.Stderr, "read request:", err)
		return exitFailed
	}
	debug.SetMemoryLimit(req.Memory * 9 / 10)
	go exitAbove(req.Memory)
	files, err := zip.NewReader(bytes.NewReader(req.Zip), int64(len(req.Zip)))
	if err != nil {
		fmt.Fprintln(os.Stderr, "read files:", err)
		return exitFailed
	}
	rendering, err := render(ctx, core.Tree{Revision: req.Revision, FS: files})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	if err := json.NewEncoder(os.Stdout).Encode(rendering); err != nil {
		fmt.Fprintln(os.Stderr, "write rendering:", err)
		return exitFailed
	}
	return 0
}

// exitAbove ends the process when it holds more than limit bytes: a Go memory
// limit alone only makes the collector work harder.
func exitAbove(limit int64) {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	for range time.Tick(20 * time.Millisecond) {
		metrics.Read(sample)
		if int64(sample[0].Value.Uint64()-sample[1].Value.Uint64()) > limit {
			os.Exit(exitMemory)
		}
	}
}

// refused is a rendering of nothing with one Problem of the whole tree.
func refused(msg string) core.Rendering {
	return core.Rendering{Problems: []core.Problem{{Stage: core.StageRender, Msg: msg}}}
}

// pack returns all files that can matter to a rendering as a zip archive.
func pack(fsys fs.FS, limit int64) ([]byte, error) {
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && strings.HasPrefix(d.Name(), ".") {
				return fs.SkipDir
			}
			return nil
		}
		if ext := path.Ext(name); ext != ".cue" && ext != ".yaml" && ext != ".yml" {
			return nil
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		if limit -= int64(len(data)); limit < 0 {
			return fmt.Errorf("%s: the files together are larger than a pull request may be", name)
		}
		w, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	if err = errors.Join(err, archive.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// decode reads a rendering, keeping integers integers: JSON has one number type,
// Kubernetes two.
func decode(data []byte) (core.Rendering, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var r core.Rendering
	if err := dec.Decode(&r); err != nil {
		return core.Rendering{}, fmt.Errorf("read what the child rendered: %w", err)
	}
	for _, objects := range [][]core.Object{r.Objects, r.Expects, r.Precautions} {
		for i := range objects {
			for key, v := range objects[i].Fields {
				objects[i].Fields[key] = numbers(v)
			}
		}
	}
	return r, nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key := range v {
			v[key] = numbers(v[key])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return f
	}
	return v
}

// A limitedBuffer keeps what is written up to a limit and fails beyond it.
type limitedBuffer struct {
	bytes.Buffer
	limit int64
}

// Write implements io.Writer.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if int64(b.Len()+len(p)) > b.limit {
		return 0, errors.New("output larger than its limit")
	}
	return b.Buffer.Write(p)
}

var _ io.Writer = (*limitedBuffer)(nil)
