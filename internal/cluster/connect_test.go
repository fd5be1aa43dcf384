package cluster_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/test/cluster/clustertest"
)

const kubeconfig = `
apiVersion: v1
kind: Config
current-context: %s
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: lab, context: {cluster: c, user: u}}, {name: test, context: {cluster: c, user: u}}]
`

func TestConnectSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good", fmt.Sprintf(kubeconfig, "lab"))
	tests := []struct {
		name string
		opts cluster.Options
		want string // empty: connects
	}{
		{"good", cluster.Options{Kubeconfig: good, Instance: "i"}, ""},
		{"other context", cluster.Options{Kubeconfig: good, Context: "test", Instance: "i"}, ""},
		{"missing file", cluster.Options{Kubeconfig: filepath.Join(dir, "none"), Instance: "i"}, "there is no kubeconfig at " + dir},
		{"unknown context", cluster.Options{Kubeconfig: good, Context: "prod", Instance: "i"}, `no context "prod": it has lab, test`},
		{"unknown current context", cluster.Options{Kubeconfig: write("current", fmt.Sprintf(kubeconfig, "gone")), Instance: "i"}, `current context "gone" is not in it`},
		{"not a kubeconfig", cluster.Options{Kubeconfig: write("bad", "{{"), Instance: "i"}, "read the kubeconfig: "},
		{"nothing", cluster.Options{Instance: "i"}, "there is no usable kubeconfig at " + dir},
		{"no instance", cluster.Options{Kubeconfig: good}, "the instance has no name"},
		{"bad instance", cluster.Options{Kubeconfig: good, Instance: "a/b,c"}, "cannot be a label value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", filepath.Join(dir, "unset"))
			t.Setenv("KUBERNETES_SERVICE_HOST", "")
			_, err := cluster.Connect(tt.opts)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v; want %q", err, tt.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	shared := clustertest.Shared(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	anonymous := func(cfg *rest.Config) *rest.Config { return rest.AnonymousClientConfig(cfg) }
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"exp":1000000000}`))

	tests := []struct {
		name   string
		change func(*rest.Config) *rest.Config
		want   string
	}{
		{"good", func(c *rest.Config) *rest.Config { return c }, ""},
		{"nobody listens", func(c *rest.Config) *rest.Config { c.Host = "https://" + closed.Addr().String(); return c }, "cannot be reached"},
		{"nobody answers", func(c *rest.Config) *rest.Config { c.Host = "https://" + silent.Addr().String(); return c }, "does not answer"},
		{"unknown name", func(c *rest.Config) *rest.Config { c.Host = "https://no-such-host.invalid"; return c }, "cannot be found"},
		{"unknown authority", func(c *rest.Config) *rest.Config { c.CAData, c.CAFile = nil, ""; return c }, "does not vouch for"},
		{"wrong token", func(c *rest.Config) *rest.Config { c = anonymous(c); c.BearerToken = "wrong"; return c }, "does not accept our credentials: log in again"},
		{"expired token", func(c *rest.Config) *rest.Config {
			c = anonymous(c)
			c.BearerToken = "e30." + claims + ".e30"
			return c
		}, "the token expired at 2001-09-09"},
		{"expired certificate", func(c *rest.Config) *rest.Config { c = anonymous(c); expired(t, c); return c }, "the client certificate expired at 2001-09-09"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := cluster.New(tt.change(shared.Config()), "i")
			if err != nil {
				t.Fatal(err)
			}
			limit := time.Minute
			if tt.want == "does not answer" {
				limit = time.Second // it never will
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			err = c.Check(ctx)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v; want %q", err, tt.want)
			}
		})
	}
}

// An API server that is away must never look like a cluster without objects.
func TestObserveUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c, err := cluster.New(&rest.Config{Host: "https://" + l.Addr().String()}, "i")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Observe(t.Context(), core.Rendering{}); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("error %v; want that it cannot be reached", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("told to stop")
	cancel(stop)
	if _, err := c.Observe(ctx, core.Rendering{}); !errors.Is(err, stop) {
		t.Errorf("error %v; want the cause of the end", err)
	}
}

// expired gives cfg a client certificate that ended long ago.
func expired(t *testing.T, cfg *rest.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Unix(1e9, 0)
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "late"}, NotBefore: end.Add(-time.Hour), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cfg.CertData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	cfg.KeyData = pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})
}
