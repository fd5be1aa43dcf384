package cluster_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/core"
)

// TestDocuments has two daemons save one document: whoever did not see what the
// other saved must look again.
func TestDocuments(t *testing.T) {
	w := newWorld(t)
	ns, ctx := w.namespace(t), t.Context()
	one, two := w.Documents(ns), w.Documents(ns)

	data, none, err := one.Load(ctx, "accepted")
	if err != nil || data != nil || none != "" {
		t.Fatalf("before any was saved: %q, version %q, %v", data, none, err)
	}
	first, err := one.Save(ctx, "accepted", []byte("first"), none)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.Save(ctx, "accepted", []byte("rival"), none); !errors.Is(err, cluster.ErrChanged) {
		t.Errorf("create it a second time: %v, want ErrChanged", err)
	}
	second, err := two.Save(ctx, "accepted", []byte("second"), first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := one.Save(ctx, "accepted", []byte("rival"), first); !errors.Is(err, cluster.ErrChanged) {
		t.Errorf("save over another's: %v, want ErrChanged", err)
	}
	data, version, err := one.Load(ctx, "accepted")
	if err != nil || string(data) != "second" || version != second {
		t.Errorf("loaded %q, version %q, %v; want what was saved last", data, version, err)
	}
	if err := w.people.CoreV1().ConfigMaps(ns).Delete(ctx, "prumo-state-accepted", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Save(ctx, "accepted", []byte("third"), second); !errors.Is(err, cluster.ErrChanged) {
		t.Errorf("save over what somebody deleted: %v, want ErrChanged", err)
	}
}

func TestDocumentsRefuse(t *testing.T) {
	w := newWorld(t)
	ns, ctx := w.namespace(t), t.Context()
	docs := w.Documents(ns)
	for name, save := range map[string]struct{ name, data, want string }{
		"too large": {"a", strings.Repeat("x", cluster.MaxDocument+1), "want at most"},
		"not text":  {"a", "\xff", "not UTF-8"},
		"odd name":  {"A/b", "x", "short lower-case name"},
	} {
		if _, err := docs.Save(ctx, save.name, []byte(save.data), ""); err == nil || !strings.Contains(err.Error(), save.want) {
			t.Errorf("%s: %v, want %q", name, err, save.want)
		}
	}
	if _, err := w.Documents("nowhere").Save(ctx, "a", []byte("x"), ""); err == nil || errors.Is(err, cluster.ErrChanged) {
		t.Errorf("a namespace that does not exist: %v, want a fault", err)
	}
	if _, err := docs.Save(ctx, "a", bytes.Repeat([]byte("x"), cluster.MaxDocument), ""); err != nil {
		t.Errorf("as large as may be: %v", err)
	}
	other, err := cluster.New(w.config, "other")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := other.Documents(ns).Load(ctx, "a"); err == nil || !strings.Contains(err.Error(), "is of instance") {
		t.Errorf("another instance's document: %v, want it refused", err)
	}
	u := unstructuredOf(t, configMap(ns, "prumo-state-b", "x"))
	u.SetLabels(map[string]string{"prumo.dev/state": instanceOf(t)})
	if _, err := w.any.Resource(gvr("", "configmaps")).Namespace(ns).Create(ctx, u, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := docs.Load(ctx, "b"); err == nil || !strings.Contains(err.Error(), "no text") {
		t.Errorf("a ConfigMap without the text: %v, want it refused, not taken for nothing", err)
	}
}

// TestDocumentsAreNotRendered proves that a repo cannot write what is remembered
// about it, nor have it deleted.
func TestDocumentsAreNotRendered(t *testing.T) {
	w := newWorld(t)
	ns := w.namespace(t)
	docs := w.Documents(ns)
	if _, err := docs.Save(t.Context(), "accepted", []byte("true"), ""); err != nil {
		t.Fatal(err)
	}
	r := render(t, configMap(ns, "prumo-state-accepted", "forged"), configMap(ns, "other", "x"))
	w.put(t, render(t, configMap(ns, "other", "x")))
	o := w.observe(t, r)
	for _, seen := range o.Objects {
		if forged := seen.Object.ID.Name != "other"; forged != strings.Contains(seen.Blocked, "kept for what Prumo itself remembers") {
			t.Errorf("%s is blocked by %q", seen.Object.ID, seen.Blocked)
		}
		if _, err := w.Apply(t.Context(), seen.Manifest, cluster.ApplyOptions{Force: true}); (err != nil) != (seen.Object.ID.Name != "other") {
			t.Errorf("apply %s: %v", seen.Object.ID, err)
		}
	}
	if diff := cmp.Diff([]string(nil), orphanNames(o)); diff != "" {
		t.Errorf("orphans (-want +got)\n%s", diff)
	}
	live, err := w.any.Resource(gvr("", "configmaps")).Namespace(ns).Get(t.Context(), "prumo-state-accepted", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if owner := live.GetLabels()[core.LabelOwner]; owner != "" {
		t.Errorf("it carries the mark of what is rendered: %s", owner)
	}
	if err := w.Delete(t.Context(), live.Object); err == nil {
		t.Error("it was deleted")
	}
	if data, _, err := docs.Load(t.Context(), "accepted"); err != nil || string(data) != "true" {
		t.Errorf("it holds %q, %v", data, err)
	}
}
