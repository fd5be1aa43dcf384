package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// binariesModule is the nested module that pins what is built.
const binariesModule = "prumo.dev/prumo/test/cluster/binaries"

// build builds what is missing, one program after the other, while no other
// process does.
func build(ctx context.Context, dir string, opts Options) error {
	module, err := findModule()
	if err != nil {
		return err
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		return fmt.Errorf("the go command is not on the PATH: install Go 1.26 or newer (https://go.dev/dl): %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lock, err := lockBuild(ctx, dir, opts)
	if err != nil {
		return err
	}
	defer lock.Close()
	_, missing, err := find(dir, opts) // again: another process may have built them
	if err != nil {
		return err
	}
	if err := checkDisk(ctx, goTool, dir, missing); err != nil {
		return err
	}
	begin := time.Now()
	for i, p := range missing {
		opts.log("building %s, %d of %d (%s elapsed)", p.name, i+1, len(missing), time.Since(begin).Round(time.Second))
		if err := buildOne(ctx, goTool, module, dir, p); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		opts.log("built %d of %d in %s", len(missing), len(missing), time.Since(begin).Round(time.Second))
	}
	return nil
}

// buildOne builds a program under another name and renames it, so that a
// program is there whole or not at all.
func buildOne(ctx context.Context, goTool, module, dir string, p program) error {
	temp, err := os.MkdirTemp(dir, ".building-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	out := filepath.Join(temp, p.name)
	cmd := exec.CommandContext(ctx, goTool, "build", "-trimpath", "-ldflags", linkerFlags(), "-o", out, p.pkg)
	cmd.Dir = module
	cmd.Env = append(os.Environ(),
		"CGO_ENABLED=0", // needs no C compiler
		"GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH,
		"GOWORK=off", "GOFLAGS=")
	// Ctrl-C asks go to end, which then removes its temporary files.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if output, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%s: %w\n%s", p.name, err, lastLines(output))
	}
	return os.Rename(out, filepath.Join(dir, p.name))
}

// linkerFlags stamp the version: clients refuse a server without one. Every
// flag is part of the key of go's build cache.
func linkerFlags() string {
	const pkg = "k8s.io/component-base/version."
	parts := strings.Split(strings.TrimPrefix(kubernetesVersion, "v"), ".")
	flags := []string{"-s", "-w"}
	for _, stamp := range []string{
		"gitVersion=" + kubernetesVersion,
		"gitMajor=" + parts[0],
		"gitMinor=" + parts[1],
		"gitTreeState=clean",
		"buildDate=1970-01-01T00:00:00Z",
	} {
		flags = append(flags, "-X", pkg+stamp)
	}
	return strings.Join(flags, " ")
}

// findModule returns the folder of the nested module of the clone that we run
// in.
func findModule() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		candidate := filepath.Join(dir, "test", "cluster", "binaries")
		mod, err := os.ReadFile(filepath.Join(candidate, "go.mod"))
		if err == nil && bytes.Contains(mod, []byte("module "+binariesModule+"\n")) {
			return candidate, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not in a clone of the repository, whose test/cluster/binaries says what to build: "+
				"run this in a clone once, or set %s to a folder with etcd and kube-apiserver", start, assetsVariable)
		}
	}
}

// lockBuild waits until no other process builds into dir.
func lockBuild(ctx context.Context, dir string, opts Options) (*os.File, error) {
	told := false
	for {
		lock, err := tryLock(filepath.Join(dir, ".lock"))
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return lock, err
		}
		if !told {
			opts.log("waiting for another process that builds the control plane")
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// lastLines returns the end of a build's output, which names the error.
func lastLines(output []byte) string {
	const limit = 4096
	output = bytes.TrimSpace(output)
	return string(output[max(0, len(output)-limit):])
}
