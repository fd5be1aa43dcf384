package deploy_test

import (
	"context"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"prumo.dev/prumo/deploy"
	"prumo.dev/prumo/internal/cluster"
)

// The guard closes the daemon's own namespace and the control plane's to the
// daemon, dry-runs included, and to nobody else.
func TestGuard(t *testing.T) {
	admin, daemon := install(t)
	// The API server learns of a new policy by a watch.
	awaitForbidden(t, func(ctx context.Context) error {
		return daemon.apply(ctx, object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: probe, namespace: kube-public}}`))
	})
	for name, u := range map[string]*unstructured.Unstructured{
		"own trust anchor":        object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: prumo, namespace: %s}, data: {trust.yaml: mine}}`, deploy.Namespace),
		"own namespace":           object(t, `{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {pod-security.kubernetes.io/enforce: privileged}}}`, deploy.Namespace),
		"pods in kube-system":     object(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: kube-system}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}`),
		"labels of kube-system":   object(t, `{apiVersion: v1, kind: Namespace, metadata: {name: kube-system, labels: {a: b}}}`),
		"leases of nodes and all": object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: kube-node-lease}}`),
	} {
		err := daemon.apply(t.Context(), u)
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "Prumo does not write in its own namespace") {
			t.Errorf("%s: %v, want it refused by the guard", name, err)
		}
	}
	if err := daemon.CoreV1().ConfigMaps(deploy.Namespace).Delete(t.Context(), "prumo", metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("delete the own configuration: %v, want forbidden", err)
	}
	if _, err := daemon.CoreV1().ConfigMaps(deploy.Namespace).Get(t.Context(), "prumo", metav1.GetOptions{}); err != nil {
		t.Errorf("reading is not the guard's: %v", err)
	}
	if err := admin.apply(t.Context(), object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: other, namespace: %s}}`, deploy.Namespace)); err != nil {
		t.Errorf("the administrator is kept out: %v", err)
	}
}

func awaitForbidden(t *testing.T, try func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		err := try(ctx)
		if apierrors.IsForbidden(err) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("still not forbidden: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// The daemon may write what it remembers into its own namespace, and a spec may
// not: neither by the name of a document, nor over one.
func TestState(t *testing.T) {
	admin, daemon := install(t)
	awaitForbidden(t, func(ctx context.Context) error {
		return daemon.apply(ctx, object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: probe, namespace: kube-public}}`))
	})
	live, err := cluster.New(configOf(t, deploy.Namespace, "prumo"), "lab")
	if err != nil {
		t.Fatal(err)
	}
	docs := live.Documents(deploy.Namespace)
	for _, name := range []string{"accepted", "drift", "approval", "images-0", "images-7"} {
		version, err := docs.Save(t.Context(), name, []byte("1"), "")
		if err == nil {
			_, err = docs.Save(t.Context(), name, []byte("2"), version)
		}
		if data, _, loadErr := docs.Load(t.Context(), name); err != nil || loadErr != nil || string(data) != "2" {
			t.Errorf("%s: %q, %v, %v, want it saved twice", name, data, err, loadErr)
		}
	}
	for name, try := range map[string]func() error{
		"rendered over a document": func() error {
			return daemon.apply(t.Context(), object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: prumo-state-accepted, namespace: %s, labels: {prumo.dev/owner: lab}}, data: {document: forged}}`, deploy.Namespace))
		},
		"rendered by the name of one": func() error {
			return daemon.apply(t.Context(), object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: prumo-state-new, namespace: %s, labels: {prumo.dev/owner: lab}}}`, deploy.Namespace))
		},
		"deleted": func() error {
			return daemon.CoreV1().ConfigMaps(deploy.Namespace).Delete(t.Context(), "prumo-state-accepted", metav1.DeleteOptions{})
		},
		"the own configuration, updated": func() error {
			own, err := admin.CoreV1().ConfigMaps(deploy.Namespace).Get(t.Context(), "prumo", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = daemon.CoreV1().ConfigMaps(deploy.Namespace).Update(t.Context(), own, metav1.UpdateOptions{})
			return err
		},
		"a name that the Role does not have": func() error {
			version, err := docs.Save(t.Context(), "other", []byte("1"), "")
			if err != nil {
				t.Errorf("create: %v", err)
			}
			_, err = docs.Save(t.Context(), "other", []byte("2"), version)
			return err
		},
	} {
		if err := try(); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, want forbidden", name, err)
		}
	}
}
