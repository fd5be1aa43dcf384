package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"prumo.dev/prumo/deploy"
	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/daemon"
	"prumo.dev/prumo/internal/render"
	"prumo.dev/prumo/internal/sandbox"
	"prumo.dev/prumo/test/cluster"
	"prumo.dev/prumo/test/cluster/clustertest"
	"prumo.dev/prumo/test/fixtures"
	"prumo.dev/prumo/test/forge"
	"prumo.dev/prumo/test/lab"
)

// TestMain is also the child that evaluates: an evaluator starts its
// own program again, which here is the test.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Command {
		os.Exit(sandbox.Serve(context.Background(), os.Args[2:], render.Serve))
	}
	clustertest.Main(m)
}

// A counted listener counts connections: each is a child.
type counted struct {
	net.Listener
	n *atomic.Int64
}

// Accept implements net.Listener.
func (c counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.n.Add(1)
	}
	return conn, err
}

// evaluate runs the evaluator of the daemon until stop is called.
func (w *world) evaluate(t *testing.T) (stop func()) {
	t.Helper()
	ln, err := sandbox.Listen(w.cfg.Evaluator.Socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- new(sandbox.Server).Serve(ctx, counted{ln, &w.children}) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error("the evaluator:", err)
		}
	})
	return stop
}

// inChildren wants that so many children were started since it was asked last.
func (w *world) inChildren(t *testing.T, what string, least int64) {
	t.Helper()
	if n := w.children.Swap(0); n < least {
		t.Errorf("%s: %d children, want %d: it was evaluated in the daemon's own process", what, n, least)
	}
}

// A world is a daemon, its repo and its cluster.
type world struct {
	cluster *cluster.Cluster
	admin   kubernetes.Interface
	lab     *lab.Lab
	forge   *forge.Server
	cfg     *config.Config
	url     string // of the daemon
	log     *started

	children atomic.Int64 // that the evaluator was asked for
	stop     func()       // stops the evaluator
}

// TestDaemon tells the life of one daemon that runs with exactly the rights of
// deploy/, chapter by chapter.
func TestDaemon(t *testing.T) {
	w := newWorld(t)
	stop := w.start(t)
	for _, chapter := range []struct {
		name string
		tell func(*world, *testing.T)
	}{
		{"applies the signed repo", (*world).applies},
		{"corrects an edit", (*world).corrects},
		{"plans pull requests", (*world).plansPulls},
		{"refuses an unsigned commit", (*world).refuses},
		{"keeps a broken spec as it was", (*world).keepsBroken},
		{"outlives its evaluator", (*world).outlivesEvaluator},
		{"outlives its remote", (*world).outlivesRemote},
		{"outlives its API server", (*world).outlivesServer},
		{"waits for an approval", (*world).waitsForApproval},
		{"does not share its state", (*world).sharesNothing},
	} {
		if !t.Run(chapter.name, func(t *testing.T) { chapter.tell(w, t) }) {
			t.Fatal("the story ends here")
		}
	}
	stop(t)
	w.outlivesDisk(t)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{cluster: clustertest.Workloads(t)}
	ctx := t.Context()
	if err := w.cluster.AddNodes(ctx, fixtures.Nodes()); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.admin, err = kubernetes.NewForConfig(w.cluster.Config()); err != nil {
		t.Fatal(err)
	}
	install(t, w.cluster.Config())
	kubeconfig, err := w.cluster.TokenKubeconfig(ctx, "prumo-system", "prumo")
	if err != nil {
		t.Fatal(err)
	}
	if w.lab, err = lab.New(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	w.forge = forge.NewServer(forge.Gitea)
	t.Cleanup(w.forge.Close)
	token := filepath.Join(w.lab.Dir, "forge-token")
	if err := os.WriteFile(token, []byte(w.forge.Token("prumo")), 0o600); err != nil {
		t.Fatal(err)
	}
	err = w.lab.WriteConfig(kubeconfig, "stateNamespace: prumo-system",
		fmt.Sprintf("forge: {type: github, url: %q, repo: %q, tokenFile: forge-token, status: true}", w.forge.URL(), forge.Repo))
	if err != nil {
		t.Fatal(err)
	}
	cfg, problems, err := config.Load(w.lab.Config)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	cfg.Interval = config.Duration(200 * time.Millisecond)
	cfg.Evaluator = config.Evaluator{
		Socket:  filepath.Join(t.TempDir(), "evaluator"),
		Require: []string{sandbox.WallLandlock, sandbox.WallSeccomp},
	}
	w.cfg = cfg
	w.stop = w.evaluate(t)
	t.Cleanup(func() { w.stop() })
	return w
}

// start runs the daemon and returns what stops it and checks that it did.
func (w *world) start(t *testing.T) (stop func(*testing.T)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	log := new(started)
	w.log = log
	ended := make(chan error, 1)
	go func() {
		problems, err := daemon.Run(ctx, w.cfg, slog.New(slog.NewJSONHandler(log, nil)))
		if len(problems) > 0 {
			err = errors.Join(err, fmt.Errorf("problems: %v", problems))
		}
		ended <- err
	}()
	t.Cleanup(cancel)
	until(t, "the daemon listens", func() error {
		if len(ended) > 0 {
			t.Fatal("the daemon ended:", <-ended, log)
		}
		addr := log.addr()
		if addr == "" {
			return errors.New("not yet")
		}
		w.url = "http://" + addr
		return nil
	})
	return func(t *testing.T) {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error("the daemon ended with", err)
			}
		case <-time.After(30 * time.Second):
			t.Error("the daemon did not stop within its grace period")
		}
		if !strings.Contains(log.String(), `"msg":"stopped"`) {
			t.Errorf("the log does not end with its stop:\n%s", log)
		}
	}
}

func (w *world) applies(t *testing.T) {
	head := w.lab.Repo.Head()
	w.untilStatus(t, "the repo is in force", func(rep core.Report) error {
		switch {
		case rep.Revision.Commit != head || rep.Revision.Signer != lab.Root:
			return fmt.Errorf("in force: %+v", rep.Revision)
		case rep.Plan == nil || !rep.Plan.Empty() || !rep.Drift.Empty():
			return fmt.Errorf("not in sync: plan %+v, drift %+v", rep.Plan, rep.Drift)
		}
		return nil
	})
	w.inChildren(t, "the walls and the revision in force", 2)
	if body := w.get(t, "/metrics", 200); !strings.Contains(body, fmt.Sprintf("prumo_revision_info{commit=%q} 1", head)) {
		t.Error("/metrics does not name the revision in force")
	}
	w.get(t, "/readyz", 200)
	w.get(t, "/healthz", 200)
	for _, file := range []string{w.cfg.Report.JSON, w.cfg.Report.Markdown} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		} else if !bytes.Contains(data, []byte(head[:10])) {
			t.Errorf("%s does not name the revision", file)
		}
	}
}

const gpus = corev1.ResourceName("requests.nvidia.com/gpu")

// corrects edits a quota and waits until it is put back.
func (w *world) corrects(t *testing.T) {
	t.Helper()
	quotas := w.admin.CoreV1().ResourceQuotas("nlp-serving")
	quota, err := quotas.Get(t.Context(), "inference", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	quota.Spec.Hard[gpus] = resource.MustParse("9")
	if _, err := quotas.Update(t.Context(), quota, metav1.UpdateOptions{FieldManager: "kubectl-edit"}); err != nil {
		t.Fatal(err)
	}
	until(t, "the quota is put back", func() error {
		quota, err := quotas.Get(t.Context(), "inference", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if got := quota.Spec.Hard[gpus]; got.Value() != 4 {
			return fmt.Errorf("quota is %v", &got)
		}
		return nil
	})
}

// plansPulls opens a pull request and moves its head: one comment and a status
// for each head, and a fork that gets neither.
func (w *world) plansPulls(t *testing.T) {
	base := w.lab.Repo.Head()
	fork := w.forge.AddPull(forge.Pull{Title: "from elsewhere", Author: "mallory", HeadRef: "main", HeadSHA: base,
		HeadRepo: "mallory/infra", BaseRef: "main", BaseSHA: base})
	if err := w.lab.Repo.Branch("proposal"); err != nil {
		t.Fatal(err)
	}
	w.commit(t, "flo", func() error { return w.lab.Repo.Remove("tools/label-studio.yaml") })
	pull := forge.Pull{Title: "no more labels", Author: "flo", HeadRef: "proposal", HeadSHA: w.lab.Repo.Head(), BaseRef: "main", BaseSHA: base}
	pull = w.forge.Pull(w.forge.AddPull(pull))
	w.untilComment(t, pull, "**5 to delete** · **3 held (3 delete)**", forge.Status{State: "success"})
	w.inChildren(t, "a pull request", 1)

	w.commit(t, "", func() error { return w.lab.Repo.Remove("pools/clinical.yaml") })
	pull.HeadSHA = w.lab.Repo.Head()
	w.forge.SetPull(pull)
	w.untilComment(t, pull, "refused: E-UNSIGNED", forge.Status{State: "failure"})

	if comments := w.forge.Comments(fork); len(comments) > 0 {
		t.Errorf("a fork's pull request was planned: %v", comments)
	}
	if err := w.lab.Repo.Checkout("main"); err != nil {
		t.Fatal(err)
	}
}

// untilComment waits until a pull request has one comment with a text, for its
// present head, and that head the status.
func (w *world) untilComment(t *testing.T, pull forge.Pull, text string, status forge.Status) {
	t.Helper()
	until(t, "the comment says "+text, func() error {
		comments, statuses := w.forge.Comments(pull.Number), w.forge.Statuses(pull.HeadSHA)
		switch {
		case len(comments) != 1:
			return fmt.Errorf("%d comments", len(comments))
		case !strings.Contains(comments[0].Body, text) || !strings.Contains(comments[0].Body, "head="+pull.HeadSHA):
			return errors.New(comments[0].Body)
		case len(statuses) == 0 || statuses[len(statuses)-1].State != status.State:
			return fmt.Errorf("statuses %+v", statuses)
		}
		return nil
	})
}

func (w *world) refuses(t *testing.T) {
	good := w.lab.Repo.Head()
	w.commit(t, "", func() error { return w.lab.Repo.Remove("pools/inference.yaml") })
	bad := w.lab.Repo.Head()
	w.untilStatus(t, "the commit is refused", func(rep core.Report) error {
		if rep.Refused == nil || rep.Refused.To != bad || rep.Refused.Refusal.Code != "E-UNSIGNED" {
			return fmt.Errorf("refused: %+v", rep.Refused)
		}
		if rep.Revision.Commit != good {
			t.Fatalf("in force: %v, want the last good %v", rep.Revision.Commit, good)
		}
		return nil
	})
	w.corrects(t)
	w.reset(t, good)
}

func (w *world) keepsBroken(t *testing.T) {
	good := w.lab.Repo.Head()
	w.commit(t, "ben", func() error { return w.lab.Repo.Write("pools/inference.yaml", []byte("kind: [\n")) })
	head := w.lab.Repo.Head()
	w.untilStatus(t, "the problem is told", func(rep core.Report) error {
		if rep.Revision.Commit != head || len(rep.Problems) == 0 || rep.Problems[0].Pos.File != "pools/inference.yaml" && len(rep.Problems) < 2 {
			return fmt.Errorf("in force %v, problems %v", rep.Revision.Commit, rep.Problems)
		}
		if n := rep.Plan.Count(core.ActionDelete) + rep.Drift.Count(core.ActionDelete); n > 0 {
			t.Fatalf("%d deletions while the repo has problems", n)
		}
		return nil
	})
	w.corrects(t) // also that spec's own objects
	w.mend(t, good)
}

// outlivesEvaluator has the evaluator gone for a while: no file is to blame.
func (w *world) outlivesEvaluator(t *testing.T) {
	w.stop()
	const name = "pools/inference.yaml"
	w.commit(t, "ben", func() error {
		text, err := os.ReadFile(filepath.Join("..", "..", "examples", "infra-repo", name))
		if err != nil {
			return err
		}
		return w.lab.Repo.Write(name, append(text, "# changed\n"...))
	})
	head := w.lab.Repo.Head()
	w.stop = w.evaluate(t)
	w.untilStatus(t, "the commit is in force", func(rep core.Report) error {
		if len(rep.Problems) > 0 {
			t.Fatalf("problems: %v", rep.Problems)
		}
		if rep.Revision.Commit != head {
			return fmt.Errorf("in force: %v", rep.Revision.Commit)
		}
		return nil
	})
}

// mend commits what a revision held, signed.
func (w *world) mend(t *testing.T, good string) {
	t.Helper()
	broken := w.lab.Repo.Head()
	if err := w.lab.Repo.Reset(good); err != nil {
		t.Fatal(err)
	}
	if err := w.lab.Repo.SetRef("refs/heads/main", broken); err != nil {
		t.Fatal(err)
	}
	w.commit(t, "ben", func() error { return nil })
	head := w.lab.Repo.Head()
	w.untilStatus(t, "the mended repo is in force", func(rep core.Report) error {
		if rep.Revision.Commit != head || len(rep.Problems) > 0 {
			return fmt.Errorf("in force %v, problems %v", rep.Revision.Commit, rep.Problems)
		}
		return nil
	})
}

func (w *world) outlivesRemote(t *testing.T) {
	away := w.lab.Origin + ".away"
	if err := os.Rename(w.lab.Origin, away); err != nil {
		t.Fatal(err)
	}
	w.untilStatus(t, "the fault is told", func(rep core.Report) error {
		if len(rep.Errors) == 0 || rep.Errors[0].Stage != core.StageFetch {
			return fmt.Errorf("errors %v", rep.Errors)
		}
		return nil
	})
	w.corrects(t)
	if err := os.Rename(away, w.lab.Origin); err != nil {
		t.Fatal(err)
	}
	w.untilHealthy(t)
}

func (w *world) outlivesServer(t *testing.T) {
	if err := w.cluster.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	w.untilStatus(t, "the fault is told", func(rep core.Report) error {
		if len(rep.Errors) == 0 {
			return errors.New("no error")
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := w.cluster.StartAPIServer(ctx); err != nil {
		t.Fatal(err)
	}
	w.untilHealthy(t)
	w.corrects(t)
}

// outlivesDisk has a daemon start that has lost its volume: it knows from the
// cluster what is in force and what was applied, so that an edit is drift.
func (w *world) outlivesDisk(t *testing.T) {
	if err := os.RemoveAll(w.cfg.StateDir); err != nil {
		t.Fatal(err)
	}
	quotas := w.admin.CoreV1().ResourceQuotas("nlp-serving")
	edit := []byte(fmt.Sprintf(`{"spec":{"hard":{%q:"9"}}}`, gpus))
	if _, err := quotas.Patch(t.Context(), "inference", types.MergePatchType, edit, metav1.PatchOptions{FieldManager: "kubectl-edit"}); err != nil {
		t.Fatal(err)
	}
	stop := w.start(t)
	w.untilStatus(t, "the revision is in force again", func(rep core.Report) error {
		if rep.Revision.Commit == "" || rep.Plan == nil || !rep.Plan.Empty() || !rep.Drift.Empty() {
			return fmt.Errorf("in force: %+v, plan %+v, drift %+v", rep.Revision, rep.Plan, rep.Drift)
		}
		return nil
	})
	var records []core.DriftRecord
	if err := json.Unmarshal([]byte(w.get(t, "/api/v1/drift", 200)), &records); err != nil {
		t.Fatal(err)
	}
	// It put the same back five times before it lost its disk.
	if len(records) == 0 || records[0].Manager != "kubectl-edit" || records[0].State != core.DriftCorrected || records[0].Corrected != 6 {
		t.Errorf("remembered is %+v", records)
	}
	stop(t)
	for _, want := range []string{`"code":"E-STATE","found":"the state folder was empty`, `"changes":0,"drift":1,`} {
		if !strings.Contains(w.log.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, w.log)
		}
	}
}

func (w *world) sharesNothing(t *testing.T) {
	_, err := daemon.Run(t.Context(), w.cfg, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "in use by another reconciler") {
		t.Errorf("a second daemon on the same state: %v", err)
	}
}

// waitsForApproval drops a workspace, whose home is deleted once a person has approved
// it. What is begun of that goes on when the daemon has the right to it, and another
// plan of the same hash would wait anew.
func (w *world) waitsForApproval(t *testing.T) {
	w.commit(t, lab.Root, func() error { return w.lab.Repo.Remove("workspaces/bruno.yaml") })
	const command = "reconciler approve --namespace prumo-system --instance lab "
	var hash string
	w.untilStatus(t, "it is told how to approve", func(rep core.Report) error {
		ok := false
		if hash, ok = strings.CutPrefix(rep.Drift.Approve, command); !ok {
			return fmt.Errorf("command %q, plan %+v, drift %+v", rep.Drift.Approve, rep.Plan, rep.Drift)
		}
		return nil
	})
	if !strings.Contains(w.log.String(), command+hash) {
		t.Errorf("the log does not say %s", command+hash)
	}
	home := w.admin.CoreV1().PersistentVolumeClaims("ws-bruno")
	claims, err := home.List(t.Context(), metav1.ListOptions{})
	if err != nil || len(claims.Items) == 0 || claims.Items[0].DeletionTimestamp != nil {
		t.Fatalf("%+v, %v; want the home there", claims, err)
	}
	person := &config.Config{Instance: w.cfg.Instance, StateNamespace: w.cfg.StateNamespace, Kubeconfig: w.cluster.Kubeconfig()}
	if _, _, err := daemon.Approve(t.Context(), person, hash, time.Hour); err != nil {
		t.Fatal(err)
	}
	w.untilStatus(t, "the daemon tries, and may not", func(rep core.Report) error {
		if rep.Result == nil || rep.Result.Count(core.StatusFailed) == 0 {
			return fmt.Errorf("result %+v", rep.Result)
		}
		return nil
	})
	role, err := deploy.FS.ReadFile("optional/rbac-protected-deletes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kubectl(t, w.cluster.Config(), role)
	kubectl(t, w.cluster.Config(), []byte(`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: prumo-system-protected-deletes},
		roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: prumo-system-protected-deletes}, subjects: [{kind: ServiceAccount, name: prumo, namespace: prumo-system}]}`))
	w.untilStatus(t, "what was begun is done", func(rep core.Report) error {
		if len(rep.Errors) > 0 || !rep.Plan.Empty() || !rep.Drift.Empty() {
			return fmt.Errorf("errors %v, plan %+v, drift %+v, result %+v", rep.Errors, rep.Plan, rep.Drift, rep.Result)
		}
		return nil
	})
	if _, err := w.admin.CoreV1().Namespaces().Get(t.Context(), "ws-bruno", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the namespace: %v, want it gone", err)
	}
}

func (w *world) untilHealthy(t *testing.T) {
	t.Helper()
	w.untilStatus(t, "no fault is left", func(rep core.Report) error {
		if len(rep.Errors) > 0 {
			return fmt.Errorf("errors %v", rep.Errors)
		}
		return nil
	})
}

// commit changes the repo, commits as somebody and pushes.
func (w *world) commit(t *testing.T, who string, change func() error) {
	t.Helper()
	err := change()
	if err == nil {
		_, err = w.lab.Commit(who, "change")
	}
	if err == nil {
		err = w.lab.Push()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// reset moves the remote's branch back.
func (w *world) reset(t *testing.T, commit string) {
	t.Helper()
	if err := errors.Join(w.lab.Repo.Reset(commit), w.lab.Repo.PushForce(w.lab.Origin)); err != nil {
		t.Fatal(err)
	}
}

func (w *world) untilStatus(t *testing.T, what string, ok func(core.Report) error) {
	t.Helper()
	until(t, what, func() error {
		resp, err := http.Get(w.url + "/api/v1/status")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != 200 {
			return errors.New(resp.Status)
		}
		var rep core.Report
		if err := json.NewDecoder(resp.Body).Decode(&rep); err != nil {
			return err
		}
		return ok(rep)
	})
}

func (w *world) get(t *testing.T, path string, code int) string {
	t.Helper()
	resp, err := http.Get(w.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != code {
		t.Errorf("%s: %s: %s", path, resp.Status, body)
	}
	return string(body)
}

// until tries until it works, for a minute.
func until(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline := time.After(time.Minute)
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

// started is a log that knows where the daemon listens.
type started struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (s *started) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(p)
}

func (s *started) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

func (s *started) addr() string {
	line, _, _ := strings.Cut(s.String(), "\n")
	var entry struct{ Listen string }
	_ = json.Unmarshal([]byte(line), &entry) // an incomplete line has no address yet
	return entry.Listen
}
