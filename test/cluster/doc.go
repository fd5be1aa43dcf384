// Package cluster is a Kubernetes control plane in a box: a real etcd,
// kube-apiserver, kube-controller-manager and kube-scheduler, with kwok in the
// place of kubelets, for tests, benchmarks and the demo.
//
// The servers are built from source by the go command, out of the nested
// module binaries, into the user's cache folder; no container engine and no C
// compiler is needed. Each cluster has its own port, certificates and data, so
// that any number may run side by side. Every server is a child process that
// dies with this one: on Linux also when it is killed with SIGKILL.
//
// The package knows processes, certificates and Nodes. It must never import a
// package of internal/: what is tested cannot be part of the bench that it is
// tested on. It runs on Unix systems only.
package cluster
