package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"prumo.dev/prumo/test/cluster"
	"prumo.dev/prumo/test/cluster/clustertest"
)

func TestMain(m *testing.M) {
	if how := os.Getenv(endVariable); how != "" {
		startAndEnd(how)
	}
	clustertest.Main(m)
}

// endVariable makes the test binary start a cluster and then end in the way
// that the variable's value says.
const endVariable = "PRUMO_TEST_END"

func startAndEnd(how string) {
	c, err := cluster.Start(context.Background(), cluster.Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(c.Kubeconfig())
	if how == "panic" {
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // until the test has looked
		panic("as a test does that fails")
	}
	select {} // until a signal comes
}

// start starts a cluster of the test's own.
func start(t *testing.T, opts cluster.Options) *cluster.Cluster {
	t.Helper()
	clustertest.Need(t, opts)
	opts.Log = t.Logf
	begin := time.Now()
	c, err := cluster.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("ready after %s", time.Since(begin).Round(time.Millisecond))
	t.Cleanup(func() {
		begin := time.Now()
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
		t.Logf("stopped after %s", time.Since(begin).Round(time.Millisecond))
	})
	return c
}

func client(t *testing.T, config *rest.Config) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// eventually asks until there is no error.
func eventually(t *testing.T, ask func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func createNamespace(t *testing.T, client kubernetes.Interface, name string) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func hasNamespace(t *testing.T, client kubernetes.Interface, name string) bool {
	t.Helper()
	_, err := client.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

func TestClustersSideBySide(t *testing.T) {
	clustertest.Need(t, cluster.Options{})
	var clusters [2]*cluster.Cluster
	var wg sync.WaitGroup
	for i := range clusters {
		wg.Go(func() {
			var err error
			if clusters[i], err = cluster.Start(t.Context(), cluster.Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, c := range clusters {
		if c != nil {
			defer c.Stop()
		}
	}
	if t.Failed() {
		return
	}
	one, other := client(t, clusters[0].Config()), client(t, clusters[1].Config())
	createNamespace(t, one, "only-here")
	if !hasNamespace(t, one, "only-here") || hasNamespace(t, other, "only-here") {
		t.Error("the clusters share their data")
	}
}

func TestAPIServerOutage(t *testing.T) {
	c := start(t, cluster.Options{Workloads: true})
	client := client(t, c.Config())
	createNamespace(t, client, "kept")
	if err := c.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Discovery().ServerVersion(); err == nil {
		t.Error("the API server answers after it was stopped")
	}
	if err := c.StopAPIServer(); err == nil {
		t.Error("stopping it twice is no error")
	}
	if err := c.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !hasNamespace(t, client, "kept") { // the same client: the same port
		t.Error("the namespace is lost")
	}
	if err := c.StartAPIServer(t.Context()); err == nil {
		t.Error("starting it twice is no error")
	}
	// The other servers have come back to it.
	if err := c.AddNodes(t.Context(), gpuNode("after-outage", 8)); err != nil {
		t.Fatal(err)
	}
	createPod(t, client, gpuPod("after-outage", "after-outage", 8))
	awaitPod(t, client, "after-outage", running)
}

func TestFolderIsKept(t *testing.T) {
	dir := t.TempDir()
	first := start(t, cluster.Options{Dir: dir})
	createNamespace(t, client(t, first.Config()), "kept")
	if _, err := cluster.Start(t.Context(), cluster.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use by another cluster") {
		t.Errorf("second start in the same folder: got %v, want that it is in use", err)
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	second := start(t, cluster.Options{Dir: dir})
	if !hasNamespace(t, client(t, second.Config()), "kept") {
		t.Error("the namespace is lost")
	}
}

func TestStopRemovesTemporaryFolder(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c := start(t, cluster.Options{})
	if _, err := os.Stat(c.Kubeconfig()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it does nothing
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := c.StartAPIServer(t.Context()); err == nil {
		t.Error("a stopped cluster starts its API server")
	}
}

func TestDeadServerIsTold(t *testing.T) {
	clustertest.Need(t, cluster.Options{})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "etcd"), nil, 0o600); err != nil { // where etcd wants a folder
		t.Fatal(err)
	}
	begin := time.Now()
	c, err := cluster.Start(t.Context(), cluster.Options{Dir: dir})
	if err == nil {
		c.Stop()
		t.Fatal("it starts")
	}
	if !strings.Contains(err.Error(), "etcd has ended by itself (exit status 1):") || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("got %v, want the end of etcd and what it printed", err)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("told after %s: it waited for a server that was dead", took)
	}
}

func TestStartGivesUp(t *testing.T) {
	clustertest.Need(t, cluster.Options{})
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second/2, errors.New("no time"))
	defer cancel()
	c, err := cluster.Start(ctx, cluster.Options{})
	if err == nil {
		c.Stop()
		t.Skip("a machine this fast is not waited for")
	}
	if !strings.Contains(err.Error(), "no time") {
		t.Errorf("got %v, want the cause of the context", err)
	}
}
