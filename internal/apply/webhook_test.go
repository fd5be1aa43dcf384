package apply_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/test/cluster/clustertest"
)

// admission makes the API server ask judge about every ConfigMap of the world, with
// a second to answer, and returns when it does. Judge says why not, or nothing.
func (w *world) admission(t *testing.T, judge func(q *http.Request, name string) string) {
	t.Helper()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, q *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(q.Body).Decode(&review); err != nil {
			t.Error(err)
			return
		}
		why := judge(q, review.Request.Name)
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: why == "", Result: &metav1.Status{Message: why}}
		_ = json.NewEncoder(rw).Encode(review) // nobody listens after a timeout
	}))
	t.Cleanup(srv.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	hooks := kubernetes.NewForConfigOrDie(clustertest.Shared(t).Config()).AdmissionregistrationV1().ValidatingWebhookConfigurations()
	config := &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: w.name},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name:                    "house-rules.example.org",
			ClientConfig:            admissionregistrationv1.WebhookClientConfig{URL: &srv.URL, CABundle: ca},
			NamespaceSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": w.name}},
			SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
			TimeoutSeconds:          new(int32(1)),
			AdmissionReviewVersions: []string{"v1"},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.OperationAll},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
			}},
		}},
	}
	if _, err := hooks.Create(t.Context(), config, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hooks.Delete(t.Context(), w.name, metav1.DeleteOptions{}) })
	probe := &unstructured.Unstructured{Object: object(t, w.configMap("refused", "x")).Fields}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		_, err := w.maps().Create(t.Context(), probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil && strings.Contains(err.Error(), "denied the request") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the webhook is not asked: %v", err)
		}
	}
}

// A real webhook that refuses, and that does not answer in time: each object has
// its reason, what depends on it waits, and nobody else does.
func TestWebhooks(t *testing.T) {
	w := newWorld(t)
	w.put(t, render(t, w.namespace()))
	r := refer(render(t, w.namespace(), w.configMap("refused", "x"), w.configMap("slow", "x"), w.configMap("fine", "x"), w.configMap("later", "x"), w.configMap("after", "x")),
		"after -> slow", "later -> fine")
	plan := w.plan(t, r)
	reached := make(chan struct{})
	w.admission(t, func(q *http.Request, name string) string {
		switch name {
		case "refused":
			return "not in this house"
		case "slow":
			select { // the others are not held up by it
			case <-reached:
			case <-time.After(time.Minute):
				t.Error("later was not applied while slow was under way")
			}
			<-q.Context().Done()
		case "later":
			select {
			case <-reached:
			default:
				close(reached)
			}
		}
		return ""
	})
	result := w.apply(t, plan)
	for name, want := range map[string]struct {
		status core.Status
		reason string
	}{
		"refused": {core.StatusFailed, "refused by admission: webhook house-rules.example.org"},
		"slow":    {core.StatusFailed, "refused by admission: webhook house-rules.example.org cannot be called"},
		"fine":    {core.StatusDone, ""},
		"later":   {core.StatusDone, ""},
		"after":   {core.StatusBlocked, fmt.Sprintf("waiting for Test/slow (ConfigMap/%s/slow: refused by admission: ", w.name)},
	} {
		if o := outcome(t, result, name); o.Status != want.status || !strings.HasPrefix(o.Reason, want.reason) {
			t.Errorf("%s: %s: %q; want %s: %q", name, o.Status, o.Reason, want.status, want.reason)
		}
	}
	if o := outcome(t, result, "refused"); !strings.Contains(o.ServerSays, "not in this house") {
		t.Errorf("the operator sees %q; want the webhook's own words", o.ServerSays)
	}
	// The next plan knows.
	for _, c := range w.plan(t, r).Changes {
		if blocked := c.Action == core.ActionBlocked; blocked != (c.ID.Name == "refused" || c.ID.Name == "slow") {
			t.Errorf("%s: %s %s", c.ID.Name, c.Action, c.Reason)
		}
		if c.ID.Name == "refused" && !strings.Contains(c.ServerSays, "not in this house") {
			t.Errorf("the plan says %q; want the webhook's own words", c.ServerSays)
		}
	}
}
