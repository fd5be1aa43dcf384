package chaos

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/test/cluster/clustertest"
)

// said runs passes until one that does not fail says something of an object, as an
// outcome or a reason in a plan.
func (p *process) said(t *testing.T, o core.Object, want ...string) {
	t.Helper()
	var last string
	for end := time.Now().Add(patience); time.Now().Before(end); p.sleep() {
		rep, err := p.pass(t)
		last = fmt.Sprint(err, "\n", describe(rep))
		if err != nil || rep.Result == nil {
			continue
		}
		for _, x := range rep.Result.Outcomes {
			if x.ID != o.ID || x.Status == core.StatusDone {
				continue
			}
			missing := ""
			for _, s := range want {
				if !strings.Contains(x.Reason+" "+x.ServerSays, s) {
					missing = s
				}
			}
			if missing == "" {
				return
			}
		}
	}
	t.Fatalf("nobody said %q of %s; the last pass:\n%s", want, o.ID, last)
}

// TestServerRestarts stops the API server when a pass has sent its third write, and
// starts it again.
func TestServerRestarts(t *testing.T) {
	w, server := shared(t), clustertest.Shared(t)
	w.repo.commit(rendering(w.configMap("a", "1"), w.configMap("b", "1"), w.configMap("c", "1"), w.configMap("d", "1")))
	p := w.start(t, watched)
	var once sync.Once
	p.wire.Before(func(n int, _ *http.Request) {
		if n == 3 {
			once.Do(func() { _ = server.StopAPIServer() })
		}
	})
	t.Cleanup(func() { _ = server.StartAPIServer(context.Background()) })
	rep, err := p.pass(t)
	if told := fmt.Sprint(err); !strings.Contains(told, "cannot be reached") && !strings.Contains(told, "EOF") && !strings.Contains(told, "connection") {
		t.Errorf("the outage is told as %v\n%s", err, describe(rep))
	}
	if err := server.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.settle(t, nil)
}

// TestEtcdHangs stops etcd in the middle of its work, for 30 seconds with -all.
func TestEtcdHangs(t *testing.T) {
	w, server := shared(t), clustertest.Shared(t)
	w.repo.commit(rendering(w.configMap("a", "1")))
	p := w.start(t, watched)
	p.settle(t, nil)
	w.repo.commit(rendering(w.configMap("a", "2"), w.configMap("b", "1")))
	pause := 2 * time.Second
	if *all {
		pause = 30 * time.Second
	}
	if err := server.PauseEtcd(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(pause, func() { _ = server.ResumeEtcd() })
	t.Cleanup(func() {
		timer.Stop()
		_ = server.ResumeEtcd()
	})
	rep, err := p.pass(t)
	if err != nil && !strings.Contains(err.Error(), "does not answer within") {
		t.Errorf("the outage is told as %v\n%s", err, describe(rep))
	}
	p.settle(t, nil)
}

// webhook puts an admission webhook before the object "refused", and removes it.
func (w *world) webhook(t *testing.T, answer http.HandlerFunc) (remove func()) {
	t.Helper()
	server := httptest.NewTLSServer(answer)
	t.Cleanup(server.CloseClientConnections) // not Close: it would wait for what hangs
	hook := object(fmt.Sprintf(`{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: %s}, webhooks: [
  {name: hook.%s.example, sideEffects: None, admissionReviewVersions: [v1], timeoutSeconds: 1, failurePolicy: Fail,
   namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %s}}, matchConditions: [{name: it, expression: "object.metadata.name == 'refused'"}],
   rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}]}]}`, w.name, w.name, w.name))
	client := hook.Fields["webhooks"].([]any)[0].(map[string]any)
	client["clientConfig"] = map[string]any{"url": server.URL,
		"caBundle": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})}
	raw, err := json.Marshal(hook.Fields) // the bundle is bytes: base64
	if err != nil {
		t.Fatal(err)
	}
	w.make(t, string(raw))
	return func() { _ = w.of(hook).Delete(context.Background(), hook.ID.Name, metav1.DeleteOptions{}) }
}

// TestWebhook has a validating webhook refuse one of two objects, in words, with a code that
// means something else when the server says it, or by never answering. The other is applied, and both once
// the webhook is gone.
func TestWebhook(t *testing.T) {
	refuses := func(code int) http.HandlerFunc {
		return func(rw http.ResponseWriter, q *http.Request) {
			var review struct{ Request struct{ UID string } }
			_ = json.NewDecoder(q.Body).Decode(&review)
			_ = json.NewEncoder(rw).Encode(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
				"response": map[string]any{"uid": review.Request.UID, "allowed": false,
					"status": map[string]any{"message": "not on a Sunday", "code": code}}})
		}
	}
	over := make(chan struct{})
	hangs := func(http.ResponseWriter, *http.Request) { <-over }
	t.Cleanup(func() { close(over) })
	tests := map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"refuses":                     {refuses(http.StatusForbidden), "not on a Sunday"},
		"refuses as if not known":     {refuses(http.StatusUnauthorized), "not on a Sunday"},
		"refuses as if it is changed": {refuses(http.StatusConflict), "not on a Sunday"},
		"hangs":                       {hangs, "context deadline exceeded"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := shared(t)
			remove := w.webhook(t, test.answer)
			defer remove()
			good, refused := w.configMap("good", "1"), w.configMap("refused", "1")
			w.repo.commit(rendering(good, refused))
			p := w.start(t, watched)
			p.said(t, refused, "hook."+w.name+".example", test.want)
			if err := w.obeyed(t, good); err != nil {
				t.Errorf("good %v", err)
			}
			remove()
			p.settle(t, nil)
		})
	}
}

// TestDefinitionRemoved removes the definition of a kind that the repo uses, with
// all that was of that kind, and installs it again.
func TestDefinitionRemoved(t *testing.T) {
	w := shared(t)
	definition := lampDefinition(w)
	raw, err := json.Marshal(definition.Fields)
	if err != nil {
		t.Fatal(err)
	}
	w.make(t, string(raw))
	t.Cleanup(func() {
		_ = w.of(definition).Delete(context.Background(), definition.ID.Name, metav1.DeleteOptions{})
	})
	w.repo.commit(rendering(w.configMap("a", "1"), w.lamp()))
	p := w.start(t, watched)
	p.settle(t, nil)
	w.remove(t, definition)
	p.said(t, w.lamp(), "the cluster does not serve "+w.name+".example/v1 Lamp: install what provides it, or its CustomResourceDefinition")
	w.make(t, string(raw))
	p.settle(t, nil)
}

// TestNamespaceStuck has a person delete a namespace of ours, which a finalizer
// keeps: it and what is in it are told to be going. Once it is gone, it is made anew.
func TestNamespaceStuck(t *testing.T) {
	w := shared(t)
	room := object("apiVersion: v1\nkind: Namespace\nmetadata: {name: " + w.name + "-room}")
	w.repo.commit(rendering(room))
	p := w.start(t, watched)
	p.settle(t, nil)
	w.remove(t, room)
	fresh := object("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fresh, namespace: " + room.ID.Name + "}")
	w.repo.commit(rendering(fresh, room))
	p.said(t, room, "is being deleted", "held by finalizers kubernetes")
	p.said(t, fresh, "namespace "+room.ID.Name+" is terminating")
	stuck := w.live(t, room)
	stuck.Object["spec"] = map[string]any{}
	if _, err := w.of(room).Update(t.Context(), stuck, metav1.UpdateOptions{}, "finalize"); err != nil {
		t.Fatal(err)
	}
	p.settle(t, nil)
}
