package deploy_test

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	"prumo.dev/prumo/deploy"
	"prumo.dev/prumo/test/cluster/clustertest"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

// A seat is somebody who talks to the cluster.
type seat struct {
	*kubernetes.Clientset
	dynamic dynamic.Interface
	mapper  meta.RESTMapper
}

func sit(t *testing.T, cfg *rest.Config) *seat {
	t.Helper()
	cfg.QPS = -1 // hundreds of questions
	clients, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	dyn, err := dynamic.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(clients.Discovery()))
	return &seat{clients, dyn, mapper}
}

// apply sends an object by server-side apply.
func (s *seat) apply(ctx context.Context, u *unstructured.Unstructured) error {
	gvk := u.GroupVersionKind()
	m, err := s.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return err
	}
	var r dynamic.ResourceInterface = s.dynamic.Resource(m.Resource)
	if m.Scope.Name() == meta.RESTScopeNameNamespace {
		r = s.dynamic.Resource(m.Resource).Namespace(u.GetNamespace())
	}
	data, err := u.MarshalJSON()
	if err != nil {
		return err
	}
	_, err = r.Patch(ctx, u.GetName(), types.ApplyPatchType, data, metav1.PatchOptions{
		FieldManager: "prumo", FieldValidation: metav1.FieldValidationStrict, Force: new(true),
	})
	return err
}

// install applies the manifests and returns a cluster administrator and the
// daemon's ServiceAccount, each with its own credentials.
func install(t *testing.T) (admin, daemon *seat) {
	t.Helper()
	c := clustertest.Shared(t)
	admin = sit(t, c.Config())
	for _, u := range render(t, deploy.Options{}) {
		if err := admin.apply(t.Context(), u); err != nil {
			t.Fatalf("apply %s %s: %v", u.GetKind(), u.GetName(), err)
		}
	}
	return admin, sitAs(t, deploy.Namespace, "prumo")
}

// sitAs returns the seat of a ServiceAccount, with its own credentials.
func sitAs(t *testing.T, namespace, name string) *seat {
	t.Helper()
	return sit(t, configOf(t, namespace, name))
}

func configOf(t *testing.T, namespace, name string) *rest.Config {
	t.Helper()
	file, err := clustertest.Shared(t).TokenKubeconfig(t.Context(), namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func object(t *testing.T, text string, args ...any) *unstructured.Unstructured {
	t.Helper()
	return objects(t, fmt.Appendf(nil, text, args...))[0]
}

// What the kinds render can be applied, listed and, where it may, deleted.
func TestWork(t *testing.T) {
	admin, daemon := install(t)
	for _, u := range objects(t, []byte(`
{apiVersion: v1, kind: Namespace, metadata: {name: team-a}}
---
{apiVersion: v1, kind: ResourceQuota, metadata: {name: q, namespace: team-a}, spec: {hard: {requests.nvidia.com/gpu: "8"}}}
---
{apiVersion: v1, kind: LimitRange, metadata: {name: l, namespace: team-a}, spec: {limits: [{type: Container, default: {cpu: "1"}}]}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: team-a}, data: {a: b}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: s, namespace: team-a}}
---
{apiVersion: v1, kind: Service, metadata: {name: s, namespace: team-a}, spec: {selector: {a: b}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: PersistentVolume, metadata: {name: team-a}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadOnlyMany], nfs: {server: nfs.example, path: /a}}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: p, namespace: team-a}, spec: {volumeName: team-a, storageClassName: "", accessModes: [ReadOnlyMany], resources: {requests: {storage: 1Gi}}}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: isolation, namespace: team-a}, spec: {podSelector: {}, policyTypes: [Ingress]}}
---
{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: team-a}, value: 1000}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: team-a}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: t, namespace: team-a}, spec: {serviceName: s, selector: {matchLabels: {c: d}}, template: {metadata: {labels: {c: d}}, spec: {containers: [{name: c, image: i}]}}}}
`)) {
		if err := daemon.apply(t.Context(), u); err != nil {
			t.Errorf("apply %s: %v", u.GetKind(), err)
		}
	}
	if err := admin.apply(t.Context(), object(t, `{apiVersion: v1, kind: Node, metadata: {name: gpu-1}}`)); err != nil {
		t.Fatal(err)
	}
	if err := daemon.apply(t.Context(), object(t, `{apiVersion: v1, kind: Node, metadata: {name: gpu-1, labels: {a: b}}}`)); err != nil {
		t.Errorf("label a Node: %v", err)
	}
	if _, err := daemon.AppsV1().Deployments("").List(t.Context(), metav1.ListOptions{LabelSelector: "prumo.dev/owner=lab"}); err != nil {
		t.Errorf("list in all namespaces: %v", err)
	}
	if err := daemon.CoreV1().ConfigMaps("team-a").Delete(t.Context(), "c", metav1.DeleteOptions{}); err != nil {
		t.Errorf("delete a ConfigMap: %v", err)
	}
}

// Real requests, not only answers about them, are refused.
func TestRefusals(t *testing.T) {
	admin, daemon := install(t)
	if err := admin.apply(t.Context(), object(t, `{apiVersion: v1, kind: Node, metadata: {name: gpu-2}}`)); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for name, try := range map[string]func() error{
		"create a Node": func() error {
			return daemon.apply(ctx, object(t, `{apiVersion: v1, kind: Node, metadata: {name: ghost}}`))
		},
		"delete a Node": func() error { return daemon.CoreV1().Nodes().Delete(ctx, "gpu-2", metav1.DeleteOptions{}) },
		"a Node's status": func() error {
			_, err := daemon.CoreV1().Nodes().Patch(ctx, "gpu-2", types.MergePatchType, []byte(`{"status":{"capacity":{"nvidia.com/gpu":"8"}}}`), metav1.PatchOptions{}, "status")
			return err
		},
		"delete a Namespace": func() error { return daemon.CoreV1().Namespaces().Delete(ctx, "default", metav1.DeleteOptions{}) },
		"delete all ConfigMaps": func() error {
			return daemon.CoreV1().ConfigMaps("default").DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
		},
		"read Secrets": func() error {
			_, err := daemon.CoreV1().Secrets(deploy.Namespace).List(ctx, metav1.ListOptions{})
			return err
		},
		"write a Secret": func() error {
			return daemon.apply(ctx, object(t, `{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: default}}`))
		},
		"grant itself more": func() error {
			return daemon.apply(ctx, object(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: more}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}, subjects: [{kind: ServiceAccount, name: prumo, namespace: %s}]}`, deploy.Namespace))
		},
	} {
		if err := try(); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, want forbidden", name, err)
		}
	}
}

// The pod of the Deployment passes the namespace's own pod security.
func TestPodIsRestricted(t *testing.T) {
	admin, _ := install(t)
	deployment, err := admin.AppsV1().Deployments(deploy.Namespace).Get(t.Context(), "prumo", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "prumo-", Labels: deployment.Spec.Template.Labels},
		Spec:       deployment.Spec.Template.Spec,
	}
	dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	if _, err := admin.CoreV1().Pods(deploy.Namespace).Create(t.Context(), pod, dryRun); err != nil {
		t.Errorf("the pod is refused: %v", err)
	}
	pod.Spec.SecurityContext.SeccompProfile = nil
	if _, err := admin.CoreV1().Pods(deploy.Namespace).Create(t.Context(), pod, dryRun); !apierrors.IsForbidden(err) {
		t.Errorf("a pod without seccomp: %v, want forbidden: pod security is not in force", err)
	}
}

// What is optional is valid, and bound by nobody.
func TestOptional(t *testing.T) {
	admin, daemon := install(t)
	files, err := deploy.FS.ReadDir("optional")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		data, err := deploy.FS.ReadFile("optional/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range objects(t, data) {
			if u.GetKind() != "ClusterRole" {
				t.Errorf("%s: a %s: what is optional grants nothing by itself", f.Name(), u.GetKind())
			}
			if err := admin.apply(t.Context(), u); err != nil {
				t.Errorf("%s: %v", f.Name(), err)
			}
		}
	}
	checkRights(t, admin, daemon)
}
