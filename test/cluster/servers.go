package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Names of the sockets by which the API server reaches etcd, relative to the
// cluster's folder, which is the working directory of every server: absolute
// paths could be longer than a socket may be named (108 bytes). etcd wants a
// port, and makes it part of the file's name.
const (
	etcdClient = "unix://etcd.sock:0"
	etcdPeer   = "unix://peer.sock:0"
)

// serviceAccountIssuer signs ServiceAccount tokens.
const serviceAccountIssuer = "https://kubernetes.default.svc"

func (c *Cluster) etcd() server {
	return server{
		name: etcd,
		args: []string{
			"--name=prumo",
			"--data-dir=etcd",
			"--unsafe-no-fsync", // data need not survive a power cut
			"--log-level=warn",
			"--listen-client-urls=" + etcdClient,
			"--advertise-client-urls=" + etcdClient,
			"--listen-peer-urls=" + etcdPeer,
			"--initial-advertise-peer-urls=" + etcdPeer,
			"--initial-cluster=prumo=" + etcdPeer,
		},
	}
}

func (c *Cluster) apiServer() server {
	args := []string{
		"--etcd-servers=" + etcdClient,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(c.port.port),
		"--permit-port-sharing", // with heldPort
		"--tls-cert-file=apiserver.crt",
		"--tls-private-key-file=apiserver.key",
		"--client-ca-file=ca.crt",
		"--service-account-issuer=" + serviceAccountIssuer,
		"--service-account-key-file=sa.key",
		"--service-account-signing-key-file=sa.key",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=Node,RBAC",
		"--allow-privileged",
		"--endpoint-reconciler-type=none", // nobody reaches it from a pod
	}
	if !c.opts.Workloads {
		// Nobody would ever take the taint of a new node away again.
		args = append(args, "--disable-admission-plugins=TaintNodesByCondition")
	}
	return server{name: apiServer, args: args}
}

func (c *Cluster) controllerManager() server {
	return server{name: controllerManager, args: []string{
		"--kubeconfig=controller-manager.kubeconfig",
		"--secure-port=0",
		"--leader-elect=false",
		"--use-service-account-credentials", // the rights of a real cluster, controller by controller
		"--service-account-private-key-file=sa.key",
		"--root-ca-file=ca.crt",
		"--kube-api-qps=200", "--kube-api-burst=400",
	}}
}

func (c *Cluster) scheduler() server {
	return server{name: scheduler, args: []string{
		"--kubeconfig=scheduler.kubeconfig",
		"--secure-port=0",
		"--leader-elect=false",
		"--kube-api-qps=200", "--kube-api-burst=400",
	}}
}

func (c *Cluster) kwok() server {
	return server{name: kwok, args: []string{
		"--kubeconfig=kwok.kubeconfig",
		"--config=stages.yaml",
		"--manage-all-nodes",
		"--node-lease-duration-seconds=40", // as a kubelet
	}}
}

// StopAPIServer kills the API server and leaves the rest running, as an outage
// of it does. Its port stays reserved.
func (c *Cluster) StopAPIServer() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.running, func(p *process) bool { return p.name == apiServer })
	if i < 0 {
		return errors.New("stop the API server: it does not run")
	}
	p := c.running[i]
	c.running = slices.Delete(c.running, i, i+1)
	err := p.died()
	p.stop()
	return err
}

// PauseEtcd stops etcd in the middle of what it does, as a disk that hangs would,
// until ResumeEtcd.
func (c *Cluster) PauseEtcd() error { return c.signal(etcd, syscall.SIGSTOP) }

// ResumeEtcd lets etcd go on. Again, it does nothing.
func (c *Cluster) ResumeEtcd() error { return c.signal(etcd, syscall.SIGCONT) }

func (c *Cluster) signal(name string, s os.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.running, func(p *process) bool { return p.name == name })
	if i < 0 {
		return fmt.Errorf("signal %s: it does not run", name)
	}
	return c.running[i].cmd.Process.Signal(s)
}

// StartAPIServer starts the API server again, on the port and with the data
// that it had, and returns when it is ready.
func (c *Cluster) StartAPIServer(ctx context.Context) error {
	if err := c.spawn(c.apiServer()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return c.await(ctx, "the API server is not ready", c.answersReady)
}

// answersReady asks the API server whether it is ready.
func (c *Cluster) answersReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	// A failed connection is told at once; a client would back off.
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.port.String())
	if err != nil {
		return err
	}
	_ = conn.Close()
	client, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		return err
	}
	var code int
	body, err := client.RESTClient().Get().AbsPath("/readyz").MaxRetries(0).Do(ctx).StatusCode(&code).Raw()
	if err != nil {
		return err
	}
	if code != http.StatusOK {
		return fmt.Errorf("/readyz: %d: %s", code, body)
	}
	return nil
}

// controllersWork asks for the work of the controllers that every pod needs:
// the default ServiceAccount.
func (c *Cluster) controllersWork(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		return err
	}
	_, err = client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err
}
