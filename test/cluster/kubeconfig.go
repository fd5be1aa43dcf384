package cluster

import (
	"context"
	"fmt"
	"net/url"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// tokenLife is how long a token of TokenKubeconfig is valid.
const tokenLife = 24 * time.Hour

// writeKubeconfigs writes the kubeconfigs of the admin and of the servers, and
// sets c.admin.
func (c *Cluster) writeKubeconfigs() error {
	for name, groups := range map[string][]string{
		"admin":              {"system:masters"},
		"kwok":               {"system:masters"},
		"controller-manager": nil,
		"scheduler":          nil,
	} {
		user := name
		if groups == nil {
			user = "system:kube-" + name // bound to its role by the API server
		}
		if err := c.writeUser(c.path(name+".kubeconfig"), user, groups...); err != nil {
			return err
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return err
	}
	config.QPS = -1 // no limit: the API server has its own
	c.admin = config
	return nil
}

// UserKubeconfig writes a kubeconfig with a client certificate for a user, who
// has no rights but those that are bound to the name or the groups, and
// returns its path.
func (c *Cluster) UserKubeconfig(ctx context.Context, user string, groups ...string) (string, error) {
	if user == "" {
		return "", fmt.Errorf("make a kubeconfig: the user has no name")
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	path := c.path("user-" + url.PathEscape(user) + ".kubeconfig")
	return path, c.writeUser(path, user, groups...)
}

// TokenKubeconfig writes a kubeconfig with a token of an existing
// ServiceAccount, valid for a day, and returns its path.
func (c *Cluster) TokenKubeconfig(ctx context.Context, namespace, serviceAccount string) (string, error) {
	client, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		return "", err
	}
	seconds := int64(tokenLife.Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	token, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, serviceAccount, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("request a token of ServiceAccount %s/%s: %w", namespace, serviceAccount, err)
	}
	path := c.path("token-" + url.PathEscape(namespace+"/"+serviceAccount) + ".kubeconfig")
	return path, c.write(path, serviceAccount, &api.AuthInfo{Token: token.Status.Token})
}

func (c *Cluster) writeUser(path, user string, groups ...string) error {
	pair, err := c.pki.client(user, groups...)
	if err != nil {
		return err
	}
	return c.write(path, user, &api.AuthInfo{ClientCertificateData: pair.cert, ClientKeyData: pair.key})
}

// write writes a kubeconfig that carries all it needs, readable by us alone.
func (c *Cluster) write(path, user string, auth *api.AuthInfo) error {
	const name = "prumo"
	config := api.NewConfig()
	config.Clusters[name] = &api.Cluster{Server: "https://" + c.port.String(), CertificateAuthorityData: c.pki.pem}
	config.AuthInfos[user] = auth
	config.Contexts[name] = &api.Context{Cluster: name, AuthInfo: user}
	config.CurrentContext = name
	return clientcmd.WriteToFile(*config, path)
}
