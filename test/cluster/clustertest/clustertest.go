// Package clustertest gives the tests of a package one control plane, started
// by the first test that asks and stopped after the last:
//
//	func TestMain(m *testing.M) { clustertest.Main(m) }
//
//	func TestApply(t *testing.T) {
//		c := clustertest.Shared(t)
//		…
//	}
//
// Tests share what the cluster holds: each uses names of its own. A test that
// stops servers starts its own cluster, with Own or cluster.Start.
package clustertest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"prumo.dev/prumo/test/cluster"
)

// A share is one cluster of this process.
type share struct {
	opts    cluster.Options
	once    sync.Once
	cluster *cluster.Cluster
	err     error
}

var (
	storage   = share{opts: cluster.Options{Log: logf}}
	workloads = share{opts: cluster.Options{Log: logf, Workloads: true}}
)

// Main runs the tests, stops what Shared and Workloads started, and exits.
func Main(m *testing.M) {
	code := m.Run()
	for _, s := range []*share{&storage, &workloads} {
		if s.cluster == nil {
			continue
		}
		if err := s.cluster.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop cluster:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// Shared returns the etcd and API server that the tests of this process share.
// With -short the test is skipped if they would have to be built first.
func Shared(t testing.TB) *cluster.Cluster { t.Helper(); return storage.get(t) }

// Namespace makes a namespace of the test's own on the Shared cluster.
func Namespace(t testing.TB) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	ns, err := kubernetes.NewForConfigOrDie(Shared(t).Config()).CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return ns.Name
}

// Workloads returns the whole control plane that the tests of this process
// share, pods running. With -short the test is skipped if it would have to be
// built first.
func Workloads(t testing.TB) *cluster.Cluster { t.Helper(); return workloads.get(t) }

// Need skips the test with -short if a cluster with these options would have to
// be built first. It is for tests that start their own.
func Need(t testing.TB, opts cluster.Options) {
	t.Helper()
	missing, err := cluster.Missing(opts)
	if err != nil {
		t.Fatal(err)
	}
	if testing.Short() && len(missing) > 0 {
		t.Skipf("needs a control plane, and %s must be built first (minutes): run without -short", strings.Join(missing, ", "))
	}
}

// Own starts a cluster for this test alone and stops it with the test.
func Own(t testing.TB, opts cluster.Options) *cluster.Cluster {
	t.Helper()
	Need(t, opts)
	c, err := cluster.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (s *share) get(t testing.TB) *cluster.Cluster {
	t.Helper()
	Need(t, s.opts)
	// Not t.Context(): the cluster outlives the test that asks first.
	s.once.Do(func() { s.cluster, s.err = cluster.Start(context.Background(), s.opts) })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.cluster
}

// logf tells of builds, which last longer than a person waits in silence.
func logf(format string, args ...any) { fmt.Fprintf(os.Stderr, "cluster: "+format+"\n", args...) }
