// Package test proves what no package can prove of itself: that each keeps its
// charter. Below it lie the scripts of the commands (run by cmd/reconciler's
// tests) and the servers that tests, demo and benchmarks run on.
package test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// A charter says what a package must never import, and why.
type charter struct {
	pkg string
	// direct bans imports of the package itself, deep whatever these bring along.
	direct, deep []string
	why          string
	but          string // allowed all the same
}

const (
	cue     = "cuelang.org/go"
	gogit   = "github.com/go-git"
	cosign  = "github.com/sigstore"
	client  = "k8s.io/client-go"
	runtime = "sigs.k8s.io/controller-runtime"
	own     = "prumo.dev/prumo"
)

var charters = []charter{
	{pkg: "internal/objpath", direct: []string{"."}, why: "a path must not know what it is used for: standard library only"},
	{pkg: "internal/core", direct: []string{"."}, but: own + "/internal/objpath", why: "the words must not know what uses them: standard library and paths only"},
	{pkg: "internal/config", direct: []string{own}, but: own + "/internal/core", why: "the file's shape must not know what its values are used for"},
	{pkg: "internal/git",
		deep: []string{cue, "k8s.io", client},
		why:  "fetching and parsing must not know what the files mean"},
	{pkg: "internal/trust", direct: []string{gogit},
		deep: []string{cue, client, runtime},
		why:  "who may be obeyed must not depend on what is asked"},
	{pkg: "internal/source", direct: []string{gogit},
		deep: []string{cue, client, runtime},
		why:  "a verified history must not depend on what is in it"},
	{pkg: "internal/render", direct: []string{"os", "net", "net/http"},
		deep: []string{client, runtime, gogit},
		why:  "rendering runs nothing, reads nothing but the tree, and asks nobody"},
	{pkg: "internal/images", direct: []string{own}, but: own + "/internal/core",
		deep: []string{cue, client, runtime, gogit},
		why:  "an image is judged whoever asks for it, and for whatever it is used"},
	{pkg: "internal/sandbox", direct: []string{own, "net/http"},
		deep: []string{cue, client, runtime, gogit},
		why:  "the border must not share code with what it bounds"},
	{pkg: "internal/cluster",
		deep: []string{cue, gogit},
		why:  "a cluster must not know where objects come from"},
	{pkg: "internal/diff", direct: []string{"net", "net/http", "os"},
		deep: []string{cue, client, runtime, gogit},
		why:  "what would change is a pure function of two states"},
	{pkg: "internal/drift", direct: []string{own, "net", "net/http", "os"}, but: own + "/internal/core",
		deep: []string{cue, client, runtime, gogit},
		why:  "what is remembered of drift is a function of what was seen, and when"},
	{pkg: "internal/report", direct: []string{"net", "net/http", "os"},
		deep: []string{cue, client, runtime, gogit},
		why:  "a text is a pure function of what it tells"},
	{pkg: "internal/apply", direct: []string{own + "/internal/diff"},
		deep: []string{cue, gogit},
		why:  "a plan is carried out, not made again"},
	{pkg: "internal/forge",
		deep: []string{cue, client, runtime, "k8s.io", gogit},
		why:  "a forge delivers a text, whatever it says"},
	{pkg: "internal/reconcile", direct: []string{own + "/internal/git", own + "/internal/trust", own + "/internal/render", own + "/internal/cluster", own + "/internal/apply",
		own + "/internal/forge", own + "/internal/report", "net/http"},
		deep: []string{cue, client, runtime, gogit, cosign},
		why:  "the order of things must be readable and testable without any of them"},
	{pkg: "internal/proposals", direct: []string{own + "/internal/git", own + "/internal/trust", own + "/internal/render", own + "/internal/cluster", own + "/internal/apply",
		own + "/internal/source", own + "/internal/images", "net/http"},
		deep: []string{cue, client, runtime, gogit, cosign},
		why:  "what is proposed is planned, and nothing else is done with it"},
	{pkg: "test/cluster", direct: []string{own + "/internal"},
		why: "what tests run on must not contain what they test"},
	{pkg: "test/chaos/wire", direct: []string{own, client},
		why: "what goes wrong between two must not know either"},
	{pkg: "test/gitrepo", direct: []string{own},
		why: "people who write commits do not use our code"},
	{pkg: "test/gitserver", direct: []string{own},
		why: "servers that are fetched from do not use our code"},
	{pkg: "test/smalldisk", direct: []string{"."},
		why: "a disk must not know who fills it: standard library only"},
	{pkg: "test/lab", direct: []string{own + "/internal"},
		why: "people who write an infra repo do not use our code"},
	{pkg: "test/sigstore", direct: []string{own},
		why: "what signs must not contain what judges"},
	{pkg: "test/forge", direct: []string{own + "/internal/reconcile", own + "/internal/report"},
		why: "a server must not know its client's reasons"},
	{pkg: "cmd/reconciler", direct: []string{cue, gogit, client, runtime, cosign},
		why: "flags, wiring and signals only"},
}

// TestCharters checks each charter against what the packages import.
func TestCharters(t *testing.T) {
	imports := list(t)
	for _, c := range charters {
		pkg := own + "/" + c.pkg
		direct, ok := imports[pkg]
		if !ok {
			t.Errorf("charter of a package that does not exist: %s", c.pkg)
			continue
		}
		for _, imp := range direct {
			if banned := match(imp, c.direct); banned != "" && imp != c.but {
				t.Errorf("%s imports %s: %s", c.pkg, imp, c.why)
			}
		}
		for imp := range closure(imports, pkg) {
			if banned := match(imp, c.deep); banned != "" {
				t.Errorf("%s depends on %s (banned: %s): %s", c.pkg, imp, banned, c.why)
			}
		}
	}
}

// TestEveryPackageHasACharter makes a new package say what it is not for.
func TestEveryPackageHasACharter(t *testing.T) {
	exempt := map[string]string{
		"internal/daemon": "wiring of the daemon: may import everything",
		"internal/demo":   "tells the whole story: may import everything",
	}
	chartered := make(map[string]bool)
	for _, c := range charters {
		chartered[c.pkg] = true
	}
	for pkg := range list(t) {
		short, ok := strings.CutPrefix(pkg, own+"/")
		if ok && strings.HasPrefix(short, "internal/") && !chartered[short] && exempt[short] == "" {
			t.Errorf("%s has no charter", short)
		}
	}
}

// match returns the first pattern that bans an import. "." bans all but the
// standard library, another pattern its own path and all below.
func match(imp string, patterns []string) string {
	for _, p := range patterns {
		first, _, _ := strings.Cut(imp, "/")
		if p == "." && strings.Contains(first, ".") || imp == p || strings.HasPrefix(imp, p+"/") {
			return p
		}
	}
	return ""
}

// list returns the imports of every package of the module and of all that they
// depend on, without tests.
func list(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports", "./cmd/...", "./internal/...", "./schemas/...", "./deploy/...", "./test/...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	imports := make(map[string][]string)
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		imports[p.ImportPath] = p.Imports
	}
	return imports
}

// closure returns all that pkg depends on.
func closure(imports map[string][]string, pkg string) map[string]bool {
	seen := make(map[string]bool)
	var visit func(string)
	visit = func(p string) {
		for _, imp := range imports[p] {
			if !seen[imp] {
				seen[imp] = true
				visit(imp)
			}
		}
	}
	visit(pkg)
	return seen
}
