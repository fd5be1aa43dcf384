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

// A reason names what refuses, and holds no value: neither one that the server quotes
// (hunter2 here) nor an address of the house.
func TestRefusal(t *testing.T) {
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
		{"webhook", said(http.StatusForbidden, `admission webhook "vet.example.org" denied the request: hunter2 is bad`), "Pod",
			"refused by admission: webhook vet.example.org"},
		{"webhook, as if we were unknown", said(http.StatusUnauthorized, `admission webhook "vet.example.org" denied the request: hunter2`), "Pod",
			"refused by admission: webhook vet.example.org"},
		{"webhook, as if the object had changed", said(http.StatusConflict, `admission webhook "vet.example.org" denied the request: hunter2`), "Secret",
			"refused by admission: webhook vet.example.org"},
		{"webhook, as if the server was overloaded", said(http.StatusServiceUnavailable, `admission webhook "vet.example.org" denied the request: hunter2`), "Pod",
			"refused by admission: webhook vet.example.org"},
		{"webhook, as if there was no such API", said(http.StatusNotFound, `admission webhook "vet.example.org" denied the request: hunter2`), "Pod",
			"refused by admission: webhook vet.example.org"},
		{"webhook with causes", said(http.StatusBadRequest, `admission webhook "vet.example.org" denied the request: hunter2`,
			metav1.StatusCause{Type: "x", Field: "hunter2"}), "Pod", "refused by admission: webhook vet.example.org"},
		{"webhook with a strange name", said(http.StatusForbidden, `admission webhook "hunter2 is bad" denied the request: hunter2`), "Pod", "refused: Forbidden"},
		{"webhook is away", said(http.StatusInternalServerError,
			`Internal error occurred: failed calling webhook "a.b": failed to call webhook: Post "https://a.b.svc:443/?timeout=10s": dial tcp 10.0.0.7:443: connect: connection refused`), "Pod",
			"refused by admission: webhook a.b cannot be called"},
		{"conversion webhook", said(http.StatusInternalServerError,
			`conversion webhook for lab.example/v1, Kind=Gear failed: Post "https://gears.svc:443/convert": dial tcp 10.0.0.7:443: i/o timeout`), "Gear",
			"the conversion webhook for lab.example/v1 Gear fails: objects of this kind cannot be read until it is mended"},
		{"quota", said(http.StatusForbidden, `pods "a" is forbidden: exceeded quota: team-b, requested: pods=1, used: pods=7, limited: pods=7`), "Pod",
			"refused by admission: exceeds quota team-b"},
		{"policy", said(http.StatusUnprocessableEntity,
			`pods "a" is forbidden: ValidatingAdmissionPolicy 'house' with binding 'house-all' denied request: env is hunter2`), "Pod",
			"refused by admission: ValidatingAdmissionPolicy house"},
		{"Pod Security", said(http.StatusForbidden,
			`pods "a" is forbidden: violates PodSecurity "restricted:latest": privileged (container "hunter2" must not set it)`), "Pod",
			"refused by admission: violates PodSecurity restricted:latest"},
		{"limits", said(http.StatusForbidden, `pods "a" is forbidden: maximum cpu usage per Container is 2, but limit is 3`), "Pod",
			"refused by admission: outside the limits of a LimitRange"},
		{"another plugin", said(http.StatusForbidden, `pods "a" is forbidden: hunter2`), "Pod", "refused by admission"},
		{"RBAC", said(http.StatusForbidden,
			`pods "a" is forbidden: User "u" cannot patch resource "pods" in API group "" in the namespace "n": hunter2`), "Pod",
			`forbidden: User "u" cannot patch resource "pods" in API group "" in the namespace "n"; grant it in the role of this user`},
		{"immutable Pod", invalid(`Pod "a" is invalid: spec: Forbidden: pod updates may not change fields - "Value": "hunter2", + "Value": "x"`,
			metav1.StatusCause{Type: "FieldValueForbidden", Message: `- "hunter2"`, Field: "spec"}), "Pod", "refused: Invalid: spec (Forbidden)"},
		{"immutable Job", invalid(`Job.batch "a" is invalid: spec.template: Invalid value: {"Command":["curl -u admin:hunter2"]}: field is immutable`,
			metav1.StatusCause{Type: "FieldValueInvalid", Message: "hunter2", Field: "spec.template"}), "Job", "refused: Invalid: spec.template (Invalid)"},
		{"an unknown field", said(http.StatusInternalServerError, "failed to create typed patch object (ns/a; /v1, Kind=Pod): .spec.prots: field not declared in schema"), "Pod",
			"refused: .spec.prots: field not declared in schema"},
		{"another type", said(http.StatusInternalServerError, "failed to create typed patch object (ns/a; /v1, Kind=Pod): .spec.ports: expected list, got &{map[a:hunter2]}"), "Pod",
			"refused: .spec.ports: expected list"},
		{"a field that is none", invalid("x", metav1.StatusCause{Type: "FieldValueInvalid", Field: "it is hunter2, really"}), "Pod", "refused: Invalid"},
		{"many fields", invalid("x", make([]metav1.StatusCause, 7)...), "Pod", "refused: Invalid: and 2 more"},
		{"secret", invalid("hunter2", metav1.StatusCause{Type: "FieldValueInvalid", Message: "hunter2", Field: "data[a]"}), "Secret",
			"refused: Invalid: data[a] (Invalid)"},
		{"no reason", said(http.StatusUnprocessableEntity, "hunter2"), "Pod", "refused: Unprocessable Entity"},
		{"too large", said(http.StatusRequestEntityTooLarge, ""), "Pod", "the object is larger than the API server accepts"},
		{"no such kind", &apimeta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "ray.io", Kind: "RayCluster"}, SearchedVersions: []string{"v1"}}, "RayCluster",
			"the cluster does not serve ray.io/v1 RayCluster: install what provides it, or its CustomResourceDefinition"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, refused := Refusal(tt.err, core.ObjectID{Kind: tt.kind, Name: "a"})
			if got.Reason != tt.want || refused != (tt.want != "") {
				t.Errorf("%q, %v; want %q", got.Reason, refused, tt.want)
			}
		})
	}
}

// The operator sees what the server says: on one line, bounded, and nothing of a Secret.
func TestServerSays(t *testing.T) {
	for _, tt := range []struct{ kind, message, want string }{
		{"Pod", "a\x1b[31m\r\nb\u0085c", "a [31m b c"},
		{"Pod", strings.Repeat("x", 1e6), strings.Repeat("x", maxReason) + "…"},
		{"Secret", "hunter2", ""},
	} {
		got, _ := Refusal(said(http.StatusUnprocessableEntity, tt.message), core.ObjectID{Kind: tt.kind})
		if got.ServerSays != tt.want {
			t.Errorf("of a %s: %.600q; want %.600q", tt.kind, got.ServerSays, tt.want)
		}
	}
}

func invalid(message string, causes ...metav1.StatusCause) error {
	err := said(http.StatusUnprocessableEntity, message, causes...).(*apierrors.StatusError)
	err.ErrStatus.Reason = metav1.StatusReasonInvalid
	return err
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
