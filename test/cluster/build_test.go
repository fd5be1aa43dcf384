package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestModulePinsWhatWeName keeps the names in this package and the module that
// is built from the same.
func TestModulePinsWhatWeName(t *testing.T) {
	mod, err := os.ReadFile("binaries/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for path, version := range map[string]string{
		"k8s.io/kubernetes":         kubernetesVersion,
		"go.etcd.io/etcd/server/v3": etcdVersion,
		"sigs.k8s.io/kwok":          kwokVersion,
	} {
		line := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(path) + ` (v\S+)`).FindSubmatch(mod)
		if line == nil || string(line[1]) != version {
			t.Errorf("binaries/go.mod requires %s %s, want %s", path, line, version)
		}
	}
	_, tools, _ := strings.Cut(string(mod), "\ntool (\n")
	tools, _, _ = strings.Cut(tools, "\n)")
	var want []string
	for _, p := range programs {
		want = append(want, p.pkg)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, strings.Fields(tools)); diff != "" {
		t.Errorf("tools of binaries/go.mod (-want +got):\n%s", diff)
	}
}

// emptyCache gives the test a cache folder of its own, with go's own caches
// where they were, and links to the programs but those left out.
func emptyCache(t *testing.T, leaveOut ...string) string {
	t.Helper()
	built := mustCacheDir(t)
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		value, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, strings.TrimSpace(string(value)))
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, ".cache"))
	t.Setenv(assetsVariable, "")
	dir := mustCacheDir(t)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		if !slices.Contains(leaveOut, p.name) {
			if err := os.Symlink(filepath.Join(built, p.name), filepath.Join(dir, p.name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// TestBuild builds one program for real, asked for by two at the same time.
func TestBuild(t *testing.T) {
	opts := Options{Workloads: true}
	if missing, err := Missing(opts); err != nil || testing.Short() || len(missing) > 0 {
		t.Skipf("builds a program; not with -short, nor before the others are built: %v, %v", missing, err)
	}
	dir := emptyCache(t, etcd)
	var mu sync.Mutex
	var told []string
	opts.Log = func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, fmt.Sprintf(format, args...))
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if got, err := Ensure(t.Context(), opts); err != nil || got != dir {
				t.Errorf("got %s, %v, want %s", got, err, dir)
			}
		})
	}
	wg.Wait()
	begun := slices.DeleteFunc(slices.Clone(told), func(s string) bool { return !strings.HasPrefix(s, "building ") })
	if len(begun) != 1 || !strings.HasPrefix(begun[0], "building etcd, 1 of 1 (") {
		t.Errorf("told %q, want one build of etcd", told)
	}
	if out, err := exec.Command(filepath.Join(dir, etcd), "--version").Output(); err != nil || !strings.Contains(string(out), strings.TrimPrefix(etcdVersion, "v")) {
		t.Errorf("etcd --version: %s, %v", out, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".building-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestServersAreStamped(t *testing.T) {
	bins, missing, err := find(mustCacheDir(t), Options{Workloads: true})
	if err != nil || len(missing) > 0 {
		t.Skipf("not built: %v, %v", missing, err)
	}
	for _, name := range []string{apiServer, controllerManager, scheduler} {
		out, err := exec.Command(bins[name], "--version").Output()
		if err != nil || strings.TrimSpace(string(out)) != "Kubernetes "+kubernetesVersion {
			t.Errorf("%s --version: %s, %v, want %s", name, out, err, kubernetesVersion)
		}
	}
}

func mustCacheDir(t *testing.T) string {
	t.Helper()
	dir, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestEnsureSaysWhatToDo(t *testing.T) {
	for name, test := range map[string]struct {
		arrange func(*testing.T)
		want    string
	}{
		"outside a clone": {
			func(t *testing.T) { t.Chdir(t.TempDir()) },
			"is not in a clone of the repository, whose test/cluster/binaries says what to build: run this in a clone once, or set KUBEBUILDER_ASSETS",
		},
		"no go": {
			func(t *testing.T) { t.Setenv("PATH", t.TempDir()) },
			"the go command is not on the PATH: install Go 1.26 or newer",
		},
		"assets without programs": {
			func(t *testing.T) { t.Setenv(assetsVariable, t.TempDir()) },
			"has no program etcd: correct the variable, or unset it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			emptyCache(t, etcd, apiServer)
			test.arrange(t)
			_, err := Ensure(t.Context(), Options{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want … %s", err, test.want)
			}
		})
	}
}

func TestAssetsAreHonoured(t *testing.T) {
	dir := emptyCache(t, etcd, apiServer)
	assets := t.TempDir()
	for _, name := range []string{etcd, apiServer} {
		if err := os.WriteFile(filepath.Join(assets, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(assetsVariable, assets)
	bins, _, err := find(dir, Options{Workloads: true})
	want := binaries{
		etcd: filepath.Join(assets, etcd), apiServer: filepath.Join(assets, apiServer),
		controllerManager: filepath.Join(dir, controllerManager), scheduler: filepath.Join(dir, scheduler), kwok: filepath.Join(dir, kwok),
	}
	if diff := cmp.Diff(want, bins); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestFullDisk(t *testing.T) {
	err := checkDisk(t.Context(), "go", t.TempDir(), []program{{name: "huge", needGiB: 1 << 40}})
	if err == nil || !regexp.MustCompile(`GiB free; building 1 programs .* takes up to \d+\.0 GiB: free \d+\.\d GiB more`).MatchString(err.Error()) {
		t.Errorf("got %v", err)
	}
	if err := checkDisk(t.Context(), "go", t.TempDir(), []program{{name: "tiny"}}); err != nil {
		t.Error(err)
	}
}
