package sandbox

import (
	"context"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

// TestMain is the child when it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		os.Exit(Serve(context.Background(), child))
	}
	os.Exit(m.Run())
}

// child renders by the name of the one file of the tree.
func child(_ context.Context, tree core.Tree) (core.Rendering, error) {
	if _, err := fs.Stat(tree.FS, "loop.cue"); err == nil {
		select {}
	}
	if _, err := fs.Stat(tree.FS, "hog.cue"); err == nil {
		var hog [][]byte
		for {
			b := make([]byte, 16<<20)
			for i := range b {
				b[i] = 1
			}
			hog = append(hog, b)
			if len(hog) > 1<<20 {
				break
			}
		}
	}
	data, err := fs.ReadFile(tree.FS, "a.cue")
	if err != nil {
		return core.Rendering{}, err
	}
	fields := map[string]any{"replicas": int64(3), "ratio": 0.5, "list": []any{int64(1), nil, "x"},
		"env": os.Getenv("PRUMO_TEST_SECRET"), "data": string(data)}
	return core.Rendering{Objects: []core.Object{{ID: core.ObjectID{Kind: "X", Name: "x"}, Fields: fields}}}, nil
}

func render(t *testing.T, limits Limits, files map[string]string) core.Rendering {
	t.Helper()
	fsys := make(fstest.MapFS)
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	r := &Renderer{Limits: limits}
	got, err := r.Render(t.Context(), core.Tree{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRenderKeepsTypesAndHidesTheEnvironment(t *testing.T) {
	t.Setenv("PRUMO_TEST_SECRET", "s3cret")
	got := render(t, Limits{}, map[string]string{"a.cue": "hello", "README.md": "not sent"})
	want := []core.Object{{ID: core.ObjectID{Kind: "X", Name: "x"}, Fields: map[string]any{
		"replicas": int64(3), "ratio": 0.5, "list": []any{int64(1), nil, "x"}, "env": "", "data": "hello"}}}
	if diff := cmp.Diff(want, got.Objects); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func TestRenderIsBounded(t *testing.T) {
	tests := []struct {
		name, file, want string
		limits           Limits
	}{
		{"time", "loop.cue", "longer than 200ms", Limits{Time: 200 * time.Millisecond}},
		{"memory", "hog.cue", "more than 128 MiB", Limits{Memory: 128 << 20}},
		{"files", "a.cue", "larger than a pull request may be", Limits{Files: 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := render(t, tt.limits, map[string]string{tt.file: "hello"})
			if len(got.Problems) != 1 || !strings.Contains(got.Problems[0].Msg, tt.want) {
				t.Errorf("problems %v, want one with %q", got.Problems, tt.want)
			}
		})
	}
}

func TestRenderStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := new(Renderer).Render(ctx, core.Tree{FS: fstest.MapFS{"loop.cue": {}}})
	if err == nil {
		t.Error("rendered under a cancelled context")
	}
}
