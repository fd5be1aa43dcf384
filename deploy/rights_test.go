package deploy_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"prumo.dev/prumo/deploy"
	"prumo.dev/prumo/internal/cluster"
)

// wantRights is all that the daemon may do: verbs by resource.
var wantRights = func() map[string]string {
	const (
		nodes = "get list watch patch"
		keep  = "get list watch create patch"
		own   = "get list watch create patch delete"
	)
	return map[string]string{
		"nodes":                             nodes,
		"namespaces":                        keep,
		"persistentvolumes":                 keep,
		"persistentvolumeclaims":            keep,
		"pods":                              "list",
		"configmaps":                        own,
		"limitranges":                       own,
		"resourcequotas":                    own,
		"serviceaccounts":                   own,
		"services":                          own,
		"deployments.apps":                  own,
		"statefulsets.apps":                 own,
		"networkpolicies.networking.k8s.io": own,
		"priorityclasses.scheduling.k8s.io": own,
	}
}()

// The API server's own list of what the ServiceAccount may do is the whole list:
// what is not in it is refused.
func TestRightsAreComplete(t *testing.T) {
	admin, daemon := install(t)
	checkRights(t, admin, daemon)
}

func checkRights(t *testing.T, admin, daemon *seat) {
	t.Helper()
	// A bystander has what Kubernetes grants to every ServiceAccount.
	if err := admin.apply(t.Context(), object(t, `{apiVersion: v1, kind: ServiceAccount, metadata: {name: bystander, namespace: default}}`)); err != nil {
		t.Fatal(err)
	}
	everybody := sitAs(t, "default", "bystander").rules(t)
	got := daemon.rules(t)
	maps.DeleteFunc(got, func(what, verbs string) bool { return everybody[what] == verbs })
	if diff := cmp.Diff(wantRights, got); diff != "" {
		t.Errorf("rights (-want +got):\n%s", diff)
	}
}

// rules asks the API server for all that one may do: verbs by resource or URL.
func (s *seat) rules(t *testing.T) map[string]string {
	t.Helper()
	review, err := s.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(),
		&authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "default"}}, metav1.CreateOptions{})
	if err != nil || review.Status.Incomplete {
		t.Fatalf("rules: %v, incomplete: %t", err, review.Status.Incomplete)
	}
	got := map[string]string{}
	for _, rule := range review.Status.ResourceRules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				got[strings.TrimSuffix(resource+"."+group, ".")] += strings.Join(append(rule.Verbs, rule.ResourceNames...), " ")
			}
		}
	}
	for _, rule := range review.Status.NonResourceRules {
		for _, url := range rule.NonResourceURLs {
			got[url] += strings.Join(rule.Verbs, " ")
		}
	}
	return got
}

// Asked one by one, the API server says yes to the list and no to the rest.
func TestRightsOneByOne(t *testing.T) {
	_, daemon := install(t)
	others := []string{"secrets", "pods/exec", "pods/log", "nodes/status", "nodes/proxy", "namespaces/finalize", "serviceaccounts/token", "deployments/scale.apps",
		"daemonsets.apps", "jobs.batch", "clusterroles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io",
		"validatingadmissionpolicies.admissionregistration.k8s.io", "customresourcedefinitions.apiextensions.k8s.io", "users", "certificatesigningrequests.certificates.k8s.io"}
	verbs := []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "impersonate", "bind", "escalate"}
	for _, name := range append(slices.Sorted(maps.Keys(wantRights)), others...) {
		resource, group, _ := strings.Cut(name, ".")
		resource, sub, _ := strings.Cut(resource, "/")
		for _, verb := range verbs {
			review, err := daemon.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
				Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: "default", Verb: verb, Group: group, Resource: resource, Subresource: sub, Name: "x",
				}}}, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if want := slices.Contains(strings.Fields(wantRights[name]), verb); review.Status.Allowed != want {
				t.Errorf("%s %s: allowed %t, want %t", verb, name, review.Status.Allowed, want)
			}
		}
	}
}

// TestApprovers binds the role of those who approve: they may, and nothing else.
func TestApprovers(t *testing.T) {
	admin, _ := install(t)
	for _, text := range []string{
		optional(t, "rbac-approvers.yaml"),
		`{apiVersion: v1, kind: ServiceAccount, metadata: {name: ana, namespace: default}}`,
		`{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: prumo-approvers, namespace: prumo-system},
			roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: prumo-system-approver}, subjects: [{kind: ServiceAccount, name: ana, namespace: default}]}`,
	} {
		if err := admin.apply(t.Context(), object(t, "%s", text)); err != nil {
			t.Fatal(err)
		}
	}
	docs := func(who *rest.Config) *cluster.Documents {
		live, err := cluster.New(who, "lab")
		if err != nil {
			t.Fatal(err)
		}
		return live.Documents(deploy.Namespace)
	}
	daemon, ana := docs(configOf(t, deploy.Namespace, "prumo")), docs(configOf(t, "default", "ana"))
	if _, err := ana.Save(t.Context(), "approval", []byte("1"), ""); !apierrors.IsForbidden(err) {
		t.Errorf("create: %v, want forbidden: that is the daemon's", err)
	}
	version, err := daemon.Save(t.Context(), "approval", []byte("1"), "")
	if errors.Is(err, cluster.ErrChanged) { // by another test
		_, version, err = daemon.Load(t.Context(), "approval")
	}
	if err == nil {
		_, err = ana.Save(t.Context(), "approval", []byte("2"), version)
	}
	if err != nil {
		t.Errorf("approve: %v", err)
	}
	for _, name := range []string{"accepted", "drift"} {
		if _, _, err := ana.Load(t.Context(), name); !apierrors.IsForbidden(err) {
			t.Errorf("read %s: %v, want forbidden", name, err)
		}
	}
}

func optional(t *testing.T, name string) string {
	t.Helper()
	data, err := deploy.FS.ReadFile("optional/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
