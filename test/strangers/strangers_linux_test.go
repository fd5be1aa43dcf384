package strangers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/daemon"
	"prumo.dev/prumo/internal/render"
	"prumo.dev/prumo/internal/sandbox"
	"prumo.dev/prumo/test/cluster"
	"prumo.dev/prumo/test/cluster/clustertest"
	"prumo.dev/prumo/test/fixtures"
	"prumo.dev/prumo/test/forge"
	"prumo.dev/prumo/test/lab"
	"prumo.dev/prumo/test/smalldisk"
)

// TestMain is also the daemon, and the child that evaluates for it: both are this
// program started again.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == sandbox.Command:
		os.Exit(sandbox.Serve(context.Background(), os.Args[2:], render.Serve))
	case len(os.Args) > 2 && os.Args[1] == daemonCommand:
		os.Exit(runDaemon(os.Args[2]))
	}
	clustertest.Main(m)
}

// daemonCommand has the test binary run a daemon with a configuration file.
const daemonCommand = "daemon-of-a-test"

// runDaemon is the program of a daemon that runs in a process of its own.
func runDaemon(file string) int {
	cfg, problems, err := config.Load(file)
	if err != nil || len(problems) > 0 {
		fmt.Fprintln(os.Stderr, err, problems)
		return 1
	}
	if _, err := daemon.Run(context.Background(), cfg, slog.New(slog.NewJSONHandler(os.Stderr, nil))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

const gpus = corev1.ResourceName("requests.nvidia.com/gpu")

// interval is between two looks at the repo, and within two of them a good commit is
// applied, whatever strangers do.
const interval = 10 * time.Second

// hostileFiles are what strangers propose.
var hostileFiles = []string{
	// Memory, in CUE and in YAML.
	`{apiVersion: "prumo.dev/v1alpha1", kind: "Dataset", metadata: name: strings.Repeat(strings.Repeat("0123456789", 300), 1000000), spec: {}}`,
	`{apiVersion: "prumo.dev/v1alpha1", kind: "Dataset", metadata: name: "x", spec: {for i in list.Range(0, 30000000, 1) {"f\(i)": strings.Repeat("x", 1000)}}}`,
	"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n" +
		"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n",
	// Time.
	`{apiVersion: "prumo.dev/v1alpha1", kind: "Dataset", metadata: name: "x", spec: {n: len([for a in list.Range(0, 100000, 1) for b in list.Range(0, 100000, 1) {a * b}])}}`,
	// Depth.
	"x: " + strings.Repeat("[", 200_000),
}

// hostile is the nth proposal: a file, and sometimes megabytes that cannot be packed.
func hostile(n int) map[string][]byte {
	text := hostileFiles[n%len(hostileFiles)]
	name := fmt.Sprintf("tools/x%d.cue", n)
	if strings.HasPrefix(text, "{") {
		text = "package tools\n\nimport (\n\t\"list\"\n\t\"strings\"\n)\n\n_use: [list.Range, strings.Repeat]\nx" + strconv.Itoa(n) + ": " + text + "\n"
	} else {
		name = fmt.Sprintf("tools/x%d.yaml", n)
	}
	files := map[string][]byte{name: []byte(text)}
	if n%4 == 0 {
		noise := make([]byte, 3<<20)
		rand.New(rand.NewSource(int64(n))).Read(noise)
		files[fmt.Sprintf("tools/noise%d.yaml", n)] = noise
	}
	return files
}

// A siege is a daemon with 1 GiB of memory and small disks, whose repo strangers push to.
type siege struct {
	*lab.Lab
	forge *forge.Server
	admin kubernetes.Interface
	group memoryGroup
	cmd   *exec.Cmd
	log   *output
	ended chan error
	edits int

	state, reports string // folders, each on a disk of its own
}

// Fifty hostile proposals, a slow forge, dead children, full and read-only disks: what
// is signed is applied within two intervals, drift is corrected, and the daemon lives.
func TestStrangersStopNothing(t *testing.T) {
	s := newSiege(t)
	s.applies(t, 3)
	s.corrects(t)

	s.forge.Delay(12 * time.Second)
	for n := range 50 {
		s.propose(t, n)
	}
	s.untilPlanned(t)
	s.applies(t, 2)
	s.corrects(t)

	for range 5 { // whichever runs just then
		s.killChildren(t)
		s.corrects(t)
	}
	s.applies(t, 3)

	filler := filepath.Join(s.state, "filler")
	if err := smalldisk.Fill(filler, 0); err != nil {
		t.Fatal(err)
	}
	s.corrects(t)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s.corrects(t)
	s.applies(t, 2)

	s.forge.Delay(0)
	good := s.forge.Pull(s.forge.AddPull(forge.Pull{Title: "good", Author: "ben", HeadRef: "good", HeadSHA: s.branch(t, "good", "ben",
		map[string][]byte{"pools/inference.yaml": s.quota(t, 1)}), BaseRef: "main"}))
	until(t, "the proposal of somebody else gets its turn", func() error {
		if comments := s.forge.Comments(good.Number); len(comments) == 0 || !strings.Contains(comments[0].Body, "1 to change") {
			return fmt.Errorf("%d comments", len(comments))
		}
		return nil
	})

	smalldisk.ReadOnly(t, s.reports)
	s.applies(t, 3)
	s.corrects(t)
	s.lives(t)
}

func newSiege(t *testing.T) *siege {
	t.Helper()
	// The disk of the reports is too small for one.
	s := &siege{state: smalldisk.Mount(t, 256<<20), reports: smalldisk.Mount(t, 16<<10), group: newMemoryGroup(t, 1<<30), log: new(output), ended: make(chan error, 1)}
	c := clustertest.Own(t, cluster.Options{Workloads: true})
	err := c.AddNodes(t.Context(), fixtures.Nodes())
	if err != nil {
		t.Fatal(err)
	}
	if s.admin, err = kubernetes.NewForConfig(c.Config()); err != nil {
		t.Fatal(err)
	}
	if s.Lab, err = lab.New(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	s.forge = forge.NewServer(forge.Gitea)
	t.Cleanup(s.forge.Close)
	if err := os.WriteFile(filepath.Join(s.Dir, "forge-token"), []byte(s.forge.Token("prumo")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteConfig(c.Kubeconfig(), fmt.Sprintf("forge: {type: github, url: %q, repo: %q, tokenFile: forge-token}", s.forge.URL(), forge.Repo)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	for old, now := range map[string]string{"interval: 2s": "interval: " + interval.String(), "stateDir: state": "stateDir: " + s.state,
		"report.json": s.reports + "/report.json", "report.md": s.reports + "/report.md"} {
		text = bytes.ReplaceAll(text, []byte(old), []byte(now))
	}
	if err := os.WriteFile(s.Config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	until(t, "the repo is in force", func() error { _, err := s.live(t); return err })
	return s
}

// start starts the daemon in its memory group.
func (s *siege) start(t *testing.T) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(exe, daemonCommand, s.Config)
	s.cmd.Stderr = s.log
	s.group.enter(s.cmd)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- s.cmd.Wait() }()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.ended
	})
}

// lives wants that the daemon is the one that was started, and that nothing in its
// group was ended for want of memory.
func (s *siege) lives(t *testing.T) {
	t.Helper()
	select {
	case err := <-s.ended:
		s.ended <- err
		t.Fatalf("the daemon ended with %v:\n%s", err, s.log)
	default:
	}
	if n := s.group.kills(t); n > 0 {
		t.Errorf("the kernel ended %d processes for want of memory", n)
	}
}

func (s *siege) quota(t *testing.T, gpus int) []byte {
	t.Helper()
	text, err := os.ReadFile("../../examples/infra-repo/pools/inference.yaml")
	if err != nil {
		t.Fatal(err)
	}
	before, after, ok := strings.Cut(string(text), "namespace: nlp-serving\n      gpus: ")
	if !ok {
		t.Fatal("the example has another shape")
	}
	return []byte(before + "namespace: nlp-serving\n      gpus: " + strconv.Itoa(gpus) + after[1:])
}

// live is how many GPUs the quota of the pool allows now.
func (s *siege) live(t *testing.T) (int64, error) {
	quota, err := s.admin.CoreV1().ResourceQuotas("nlp-serving").Get(t.Context(), "inference", metav1.GetOptions{})
	if err != nil {
		return 0, err
	}
	allowed := quota.Spec.Hard[gpus]
	return allowed.Value(), nil
}

// applies commits a signed change and wants it applied within two intervals.
func (s *siege) applies(t *testing.T, want int) {
	t.Helper()
	if err := s.Repo.Checkout("main"); err != nil {
		t.Fatal(err)
	}
	if err := s.Repo.Write("pools/inference.yaml", s.quota(t, want)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit("ben", "pools: change"); err != nil {
		t.Fatal(err)
	}
	if err := s.Push(); err != nil {
		t.Fatal(err)
	}
	s.within(t, 2*interval, "a signed change is applied", int64(want))
}

// corrects edits the quota and wants it put back within two intervals.
func (s *siege) corrects(t *testing.T) {
	t.Helper()
	declared, err := s.live(t)
	if err != nil {
		t.Fatal(err)
	}
	edit := fmt.Sprintf(`{"spec":{"hard":{%q:"9"}}}`, gpus)
	s.edits++ // each by another person: who rewrites a field again and again is left alone for a while
	_, err = s.admin.CoreV1().ResourceQuotas("nlp-serving").Patch(t.Context(), "inference", types.MergePatchType, []byte(edit), metav1.PatchOptions{FieldManager: fmt.Sprintf("person-%d", s.edits)})
	if err != nil {
		t.Fatal(err)
	}
	s.within(t, 2*interval, "an edit is put back", declared)
}

func (s *siege) within(t *testing.T, limit time.Duration, what string, want int64) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	start := time.Now()
	for {
		got, err := s.live(t)
		if err == nil && got == want {
			t.Logf("%s: after %v", what, time.Since(start).Round(100*time.Millisecond))
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			s.lives(t)
			t.Fatalf("%s: not within %v: %d, %v, want %d\n%s", what, limit, got, err, want, s.log)
		}
	}
}

// propose pushes a hostile branch and opens a pull request.
func (s *siege) propose(t *testing.T, n int) {
	t.Helper()
	name := fmt.Sprintf("hostile-%d", n)
	head := s.branch(t, name, "", hostile(n))
	s.forge.AddPull(forge.Pull{Title: name, Author: "mallory", HeadRef: name, HeadSHA: head, BaseRef: "main"})
}

func (s *siege) branch(t *testing.T, name, who string, files map[string][]byte) (head string) {
	t.Helper()
	if err := s.Repo.Checkout("main"); err != nil {
		t.Fatal(err)
	}
	if err := s.Repo.Branch(name); err != nil {
		t.Fatal(err)
	}
	for path, data := range files {
		if err := s.Repo.Write(path, data); err != nil {
			t.Fatal(err)
		}
	}
	head, err := s.Commit(who, name)
	if err == nil {
		err = s.Push()
	}
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// killChildren kills the processes that evaluate just then.
func (s *siege) killChildren(t *testing.T) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// proc_pid_stat(5): pid (comm) state ppid …
		_, rest, _ := strings.Cut(string(text), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(s.cmd.Process.Pid) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
	}
}

// untilPlanned waits until the log says that a proposal was planned, or failed.
func (s *siege) untilPlanned(t *testing.T) {
	t.Helper()
	until(t, "a proposal is planned", func() error {
		if text := s.log.String(); !strings.Contains(text, "planned a pull request") && !strings.Contains(text, "a pull request cannot be planned") {
			return errors.New("not yet")
		}
		return nil
	})
}

// until tries until it works, for two minutes.
func until(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// An output is what a process says.
type output struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

// A memoryGroup is a control group that bounds memory: cgroups(7), version 1 or 2.
type memoryGroup struct {
	dir   string
	isOld bool // version 1
}

func newMemoryGroup(t *testing.T, limit int64) memoryGroup {
	t.Helper()
	g := memoryGroup{dir: fmt.Sprintf("/sys/fs/cgroup/memory/prumo-test-%d", os.Getpid()), isOld: true}
	file := "memory.limit_in_bytes"
	if _, err := os.Stat("/sys/fs/cgroup/memory"); err != nil {
		g = memoryGroup{dir: fmt.Sprintf("/sys/fs/cgroup/prumo-test-%d", os.Getpid())}
		file = "memory.max"
	}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		t.Skipf("memory cannot be bounded here: %v; run this test as root, where control groups can be made", err)
	}
	t.Cleanup(func() {
		until(t, "the control group is empty", func() error { return os.Remove(g.dir) })
	})
	if err := os.WriteFile(filepath.Join(g.dir, file), []byte(strconv.FormatInt(limit, 10)), 0o644); err != nil {
		t.Skipf("memory cannot be bounded here: %v", err)
	}
	return g
}

// enter has a command run in the group from its start.
func (g memoryGroup) enter(cmd *exec.Cmd) {
	cmd.Args = append([]string{"sh", "-c", `echo $$ > "$0" && exec "$@"`, filepath.Join(g.dir, "cgroup.procs"), cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
}

// kills is how many processes of the group the kernel ended for want of memory.
func (g memoryGroup) kills(t *testing.T) int {
	t.Helper()
	file := "memory.events"
	if g.isOld {
		file = "memory.oom_control"
	}
	text, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			kills, _ := strconv.Atoi(strings.TrimSpace(n))
			return kills
		}
	}
	return 0
}
