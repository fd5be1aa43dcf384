package cluster_test

import (
	"slices"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"prumo.dev/prumo/test/cluster/clustertest"
)

// whoAmI returns a client of a kubeconfig, and who the API server takes it for.
func whoAmI(t *testing.T, path string) (kubernetes.Interface, authenticationv1.UserInfo) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	client := client(t, config)
	review, err := client.AuthenticationV1().SelfSubjectReviews().
		Create(t.Context(), new(authenticationv1.SelfSubjectReview), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return client, review.Status.UserInfo
}

func TestUserKubeconfig(t *testing.T) {
	c := clustertest.Shared(t)
	path, err := c.UserKubeconfig(t.Context(), "ana@lab.example", "researchers", "oncall")
	if err != nil {
		t.Fatal(err)
	}
	client, user := whoAmI(t, path)
	if user.Username != "ana@lab.example" || !slices.Contains(user.Groups, "researchers") || !slices.Contains(user.Groups, "oncall") {
		t.Errorf("the API server sees %+v", user)
	}
	if _, err := client.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a user without rights lists secrets: %v", err)
	}
}

func TestTokenKubeconfig(t *testing.T) {
	c := clustertest.Shared(t)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}
	admin := client(t, c.Config())
	if _, err := admin.CoreV1().ServiceAccounts("default").Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	path, err := c.TokenKubeconfig(t.Context(), "default", "robot")
	if err != nil {
		t.Fatal(err)
	}
	if _, user := whoAmI(t, path); user.Username != "system:serviceaccount:default:robot" {
		t.Errorf("the API server sees %+v", user)
	}
	if _, err := c.TokenKubeconfig(t.Context(), "default", "nobody"); err == nil {
		t.Error("a token of a ServiceAccount that does not exist")
	}
}
