package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"prumo.dev/prumo/internal/core"
)

func said(code int32, message string, causes ...metav1.StatusCause) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Message: message, Details: &metav1.StatusDetails{Causes: causes}}}
}

func TestRefusal(t *testing.T) {
	hook := `admission webhook "vet.example.org" denied the request: value hunter2 is bad`
	tests := []struct {
		name string
		err  error
		kind string
		want string // empty: no refusal
	}{
		{"nothing", nil, "Pod", ""},
		{"unauthorized", said(http.StatusUnauthorized, "Unauthorized"), "Pod", ""},
		{"too many", said(http.StatusTooManyRequests, "slow down"), "Pod", ""},
		{"unavailable", said(http.StatusServiceUnavailable, "starting"), "Pod", ""},
		{"broken connection", fmt.Errorf("read: %w", context.DeadlineExceeded), "Pod", ""},
		{"webhook", said(http.StatusForbidden, hook), "Pod", "refused by admission: " + hook},
		{"webhook is away", said(http.StatusInternalServerError, `Internal error occurred: failed calling webhook "a.b": timeout`), "Pod", `refused by admission: Internal error occurred: failed calling webhook "a.b": timeout`},
		{"quota", said(http.StatusForbidden, `pods "a" is forbidden: exceeded quota: q`), "Pod", `refused by admission: pods "a" is forbidden: exceeded quota: q`},
		{"webhook, secret", said(http.StatusForbidden, hook), "Secret", "refused: Forbidden: admission webhook vet.example.org; the message is withheld, for it may quote a secret"},
		{"invalid, secret", said(http.StatusUnprocessableEntity, "hunter2", metav1.StatusCause{Type: "FieldValueInvalid", Message: "hunter2", Field: "data[a]"}), "Secret",
			"refused: Unprocessable Entity: data[a] (FieldValueInvalid); the message is withheld, for it may quote a secret"},
		{"too large", said(http.StatusRequestEntityTooLarge, ""), "Pod", "the object is larger than the API server accepts"},
		{"control characters", said(http.StatusUnprocessableEntity, "a\x1b[31m\r\nb\u0085c"), "Pod", "refused: a [31m b c"},
		{"no such kind", &apimeta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "ray.io", Kind: "RayCluster"}, SearchedVersions: []string{"v1"}}, "RayCluster",
			"the cluster does not serve ray.io/v1 RayCluster: install what provides it, or its CustomResourceDefinition"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, refused := Refusal(tt.err, core.ObjectID{Kind: tt.kind, Name: "a"})
			if got != tt.want || refused != (tt.want != "") {
				t.Errorf("%q, %v; want %q", got, refused, tt.want)
			}
		})
	}
	long, _ := Refusal(said(http.StatusUnprocessableEntity, strings.Repeat("é", 1e6)), core.ObjectID{Kind: "Pod"})
	if len(long) > 2*maxReason {
		t.Errorf("a message of %d bytes", len(long))
	}
}

func TestAbsenceIsNotAMissingAPI(t *testing.T) {
	object := apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, "a")
	api := apierrors.NewGenericServerResponse(http.StatusNotFound, "get", schema.GroupResource{Resource: "pods"}, "a", "404 page not found", 0, true)
	for _, tt := range []struct {
		err  error
		want bool
	}{{nil, false}, {object, true}, {fmt.Errorf("get: %w", object), true}, {api, false}, {errors.New("x"), false}} {
		if got := isAbsent(tt.err); got != tt.want {
			t.Errorf("%v: absent %v; want %v", tt.err, got, tt.want)
		}
	}
}

func TestParseConflict(t *testing.T) {
	for message, want := range map[string]core.Conflict{
		`conflict with "helm"`: {Manager: "helm", Operation: "Apply"},
		`conflict with "kubectl-edit" using v1 at 2026-01-02T03:04:05Z`: {Manager: "kubectl-edit", Operation: "Update"},
		`conflict with "hpa" with subresource "scale" using apps/v1`:    {Manager: "hpa", Operation: "Update"},
		`conflict with "a \"b\"" with subresource "status"`:             {Manager: `a \"b\"`, Operation: "Apply"},
		"something\nnew": {Manager: "something new"},
	} {
		got := parseConflict(metav1.StatusCause{Message: message, Field: ".a"})
		if got.Manager != want.Manager || got.Operation != want.Operation || got.Path != ".a" {
			t.Errorf("%s: %+v; want %+v", message, got, want)
		}
		if strings.Contains(message, " at ") != !got.Since.IsZero() {
			t.Errorf("%s: since %v", message, got.Since)
		}
	}
}
