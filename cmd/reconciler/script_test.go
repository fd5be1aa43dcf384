package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/util/jsonpath"

	"prumo.dev/prumo/examples"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/test/cluster"
	"prumo.dev/prumo/test/fixtures"
	"prumo.dev/prumo/test/forge"
	"prumo.dev/prumo/test/lab"
)

var update = flag.Bool("update", false, "write the golden parts of scripts anew")

// TestMain makes the test binary the program, too: a script's `reconciler` is this
// binary started again.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"reconciler": func() { os.Exit(Main()) }})
}

// TestScripts runs ../../test/script/*.txtar. Beside testscript's own commands they have:
//
//	cluster [workloads]          a control plane of the script's own, with the
//	                             example's machines; sets $KUBECONFIG
//	lab                          test/lab in $WORK/lab; sets $CONFIG, $TRUST, $ORIGIN
//	write PATH FILE              put a file of the script into the next commit
//	remove PATH                  take a file or folder out of it
//	commit WHO MESSAGE           commit as a principal ("-": unsigned) and push
//	reset REV                    go back to a commit or HEAD~N, and force it on the remote
//	branch NAME                  go on with another branch
//	pull NAME                    open a pull request from a branch; sets $PULL
//	comment                      print the pull request's comments
//	live get KIND NS NAME PATH   print a field of a live object (JSONPath; NS may be -)
//	live absent KIND NS NAME     fail if it exists
//	live patch KIND NS NAME MANAGER JSON   change it as somebody (merge patch)
//	live delete KIND NS NAME     delete it
//	hash                         plan, and set $HASH to the plan's hash
//	await FILE REGEXP            wait until a file says something
//	losegpu NODE N               take GPUs out of a machine
//	images                       a registry, and a policy of the lab that verifies images
//	images revoke, restore       have the policy want another key, and the right one again
//	images down                  stop the registry
//	image PATH signed|unsigned   push an image and put it into a spec; sets $IMAGE
//	bigfile FILE N               make a file of N MiB
//
// $EXAMPLE is a copy of the example infra repo.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "test", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			cache, err := os.UserCacheDir()
			if err != nil {
				return err
			}
			env.Setenv("REALCACHE", cache) // where the control plane's binaries are
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, ".cache"))
			env.Setenv("EXAMPLE", filepath.Join(env.WorkDir, "infra-repo"))
			env.Values[worldKey{}] = new(world)
			return os.CopyFS(filepath.Join(env.WorkDir, "infra-repo"), examples.InfraRepo())
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"cluster": command((*world).cmdCluster),
			"lab":     command((*world).cmdLab),
			"write":   command((*world).cmdWrite),
			"remove":  command((*world).cmdRemove),
			"commit":  command((*world).cmdCommit),
			"reset":   command((*world).cmdReset),
			"branch":  command((*world).cmdBranch),
			"pull":    command((*world).cmdPull),
			"comment": command((*world).cmdComment),
			"live":    command((*world).cmdLive),
			"images":  command((*world).cmdImages),
			"image":   command((*world).cmdImage),
			"bigfile": command((*world).cmdBigFile),
			"hash":    command((*world).cmdHash),
			"await":   command((*world).cmdAwait),
			"losegpu": command((*world).cmdLoseGPU),
		},
	})
}

// A world is what one script has started.
type world struct {
	cluster *cluster.Cluster
	client  dynamic.Interface
	mapper  meta.RESTMapper
	lab     *lab.Lab
	forge   *forge.Server
	house   *house
	pull    int
	commits []string
}

type worldKey struct{}

// command makes a method a command that may not be negated.
func command(do func(*world, *testscript.TestScript, []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this command cannot be negated")
		}
		ts.Check(do(ts.Value(worldKey{}).(*world), ts, args))
	}
}

// want checks the number of arguments.
func want(args []string, n int, usage string) error {
	if len(args) != n {
		return fmt.Errorf("usage: %s", usage)
	}
	return nil
}

// bounded is a context for one step of a script.
func bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Minute)
}

func (w *world) cmdCluster(ts *testscript.TestScript, args []string) (err error) {
	ctx, cancel := bounded()
	defer cancel()
	if w.cluster, err = cluster.Start(ctx, cluster.Options{Workloads: len(args) > 0}); err != nil {
		return err
	}
	ts.Defer(func() { ts.Check(w.cluster.Stop()) })
	ts.Setenv("KUBECONFIG", w.cluster.Kubeconfig())
	if w.client, err = dynamic.NewForConfig(w.cluster.Config()); err != nil {
		return err
	}
	disco, err := discovery.NewDiscoveryClientForConfig(w.cluster.Config())
	if err != nil {
		return err
	}
	w.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco))
	return w.cluster.AddNodes(ctx, fixtures.Nodes())
}

func (w *world) cmdLab(ts *testscript.TestScript, args []string) (err error) {
	dir := ts.MkAbs("lab")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if w.lab, err = lab.New(dir); err != nil {
		return err
	}
	w.commits = append(w.commits, w.lab.Repo.Head())
	w.forge = forge.NewServer(forge.Gitea)
	ts.Defer(w.forge.Close)
	token := filepath.Join(dir, "forge-token")
	if err := os.WriteFile(token, []byte(w.forge.Token("prumo")), 0o600); err != nil {
		return err
	}
	ts.Setenv("CONFIG", w.lab.Config)
	ts.Setenv("TRUST", w.lab.Trust)
	ts.Setenv("ORIGIN", w.lab.Origin)
	return w.lab.WriteConfig(ts.Getenv("KUBECONFIG"),
		fmt.Sprintf("forge: {type: github, url: %q, repo: %q, tokenFile: forge-token}", w.forge.URL(), forge.Repo))
}

func (w *world) cmdWrite(ts *testscript.TestScript, args []string) error {
	if err := want(args, 2, "write PATH FILE"); err != nil {
		return err
	}
	return w.lab.Repo.Write(args[0], []byte(ts.ReadFile(args[1])))
}

func (w *world) cmdRemove(_ *testscript.TestScript, args []string) error {
	if err := want(args, 1, "remove PATH"); err != nil {
		return err
	}
	return w.lab.Repo.Remove(args[0])
}

func (w *world) cmdCommit(_ *testscript.TestScript, args []string) error {
	if err := want(args, 2, "commit WHO MESSAGE"); err != nil {
		return err
	}
	id, err := w.lab.Commit(strings.TrimPrefix(args[0], "-"), args[1])
	if err != nil {
		return err
	}
	w.commits = append(w.commits, id)
	return w.lab.Push()
}

func (w *world) cmdReset(_ *testscript.TestScript, args []string) error {
	var back int
	if err := want(args, 1, "reset HEAD~N"); err != nil {
		return err
	}
	if _, err := fmt.Sscanf(args[0], "HEAD~%d", &back); err != nil || back >= len(w.commits) {
		return fmt.Errorf("%s: want HEAD~N, N below %d", args[0], len(w.commits))
	}
	w.commits = w.commits[:len(w.commits)-back]
	if err := w.lab.Repo.Reset(w.commits[len(w.commits)-1]); err != nil {
		return err
	}
	return w.lab.Repo.PushForce(w.lab.Origin)
}

func (w *world) cmdBranch(_ *testscript.TestScript, args []string) error {
	if err := want(args, 1, "branch NAME"); err != nil {
		return err
	}
	return w.lab.Repo.Branch(args[0])
}

func (w *world) cmdPull(ts *testscript.TestScript, args []string) error {
	if err := want(args, 1, "pull BRANCH"); err != nil {
		return err
	}
	w.pull = w.forge.AddPull(forge.Pull{Title: args[0], Author: "ben", HeadRef: args[0], HeadSHA: w.lab.Repo.Tip(args[0]),
		BaseRef: "main", BaseSHA: w.lab.Repo.Tip("main")})
	ts.Setenv("PULL", fmt.Sprint(w.pull))
	return nil
}

func (w *world) cmdComment(ts *testscript.TestScript, _ []string) error {
	for _, c := range w.forge.Comments(w.pull) {
		fmt.Fprintln(ts.Stdout(), c.Body)
	}
	return nil
}

func (w *world) cmdLoseGPU(_ *testscript.TestScript, args []string) error {
	var n int
	if err := want(args, 2, "losegpu NODE N"); err != nil {
		return err
	}
	if _, err := fmt.Sscan(args[1], &n); err != nil {
		return err
	}
	ctx, cancel := bounded()
	defer cancel()
	return w.cluster.LoseGPU(ctx, args[0], n)
}

func (w *world) cmdHash(ts *testscript.TestScript, _ []string) error {
	_ = ts.Exec("reconciler", "plan", "-o", "json", "--config", ts.Getenv("CONFIG")) // exit code 2: changes
	var rep core.Report
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &rep); err != nil {
		return err
	}
	ts.Setenv("HASH", rep.Plan.Hash)
	return nil
}

// cmdAwait waits for what a process in the background writes.
func (w *world) cmdAwait(ts *testscript.TestScript, args []string) error {
	if err := want(args, 2, "await FILE REGEXP"); err != nil {
		return err
	}
	said, err := regexp.Compile("(?m)" + args[1])
	if err != nil {
		return err
	}
	ctx, cancel := bounded()
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && said.Match(text) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s does not say %s: %v\n%s", args[0], args[1], err, text)
		}
	}
}

func (w *world) cmdBigFile(ts *testscript.TestScript, args []string) error {
	var mib int64
	if err := want(args, 2, "bigfile FILE N"); err != nil {
		return err
	}
	if _, err := fmt.Sscan(args[1], &mib); err != nil {
		return err
	}
	name := ts.MkAbs(args[0])
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		return err
	}
	return os.Truncate(name, mib<<20)
}

func (w *world) cmdLive(ts *testscript.TestScript, args []string) error {
	if len(args) < 4 {
		return fmt.Errorf("usage: live get|absent|patch|delete KIND NS NAME …")
	}
	client, err := w.resource(args[1], strings.TrimPrefix(args[2], "-"))
	if err != nil {
		return err
	}
	ctx, cancel := bounded()
	defer cancel()
	name := args[3]
	switch args[0] {
	case "get":
		return get(ctx, ts, client, name, args[4])
	case "absent":
		if _, err := client.Get(ctx, name, metav1.GetOptions{}); err == nil {
			return fmt.Errorf("%s %s exists", args[1], name)
		}
		return nil
	case "patch":
		_, err := client.Patch(ctx, name, types.MergePatchType, []byte(args[5]), metav1.PatchOptions{FieldManager: args[4]})
		return err
	case "delete":
		return client.Delete(ctx, name, metav1.DeleteOptions{})
	}
	return fmt.Errorf("unknown: live %s", args[0])
}

func (w *world) resource(kind, namespace string) (dynamic.ResourceInterface, error) {
	gk := schema.ParseGroupKind(kind)
	mapping, err := w.mapper.RESTMapping(gk)
	if err != nil {
		return nil, err
	}
	client := w.client.Resource(mapping.Resource)
	if namespace == "" {
		return client, nil
	}
	return client.Namespace(namespace), nil
}

func get(ctx context.Context, ts *testscript.TestScript, client dynamic.ResourceInterface, name, path string) error {
	var live *unstructured.Unstructured
	live, err := client.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	p := jsonpath.New("path")
	if err := p.Parse("{" + path + "}"); err != nil {
		return err
	}
	found, err := p.FindResults(live.Object)
	if err != nil {
		return err
	}
	for _, f := range found[0] {
		text, err := json.Marshal(f.Interface())
		if err != nil {
			return err
		}
		fmt.Fprintln(ts.Stdout(), string(text))
	}
	return nil
}
