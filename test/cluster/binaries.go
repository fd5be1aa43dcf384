package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Versions of what is built; binaries/go.mod requires the same.
const (
	kubernetesVersion = "v1.37.2"
	etcdVersion       = "v3.7.3"
	kwokVersion       = "v0.8.0"
)

// The programs of a control plane.
const (
	etcd              = "etcd"
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
	kwok              = "kwok"
)

// assetsVariable names a folder with a ready etcd and kube-apiserver, a
// convention of controller-runtime's envtest.
const assetsVariable = "KUBEBUILDER_ASSETS"

// A program is one binary and how to build it.
type program struct {
	name    string
	pkg     string  // package in the module binaries
	needGiB float64 // disk that a first build takes, modules and build cache included
	control bool    // part of every cluster; the others come with Options.Workloads
}

// programs are all binaries, in the order in which they are built.
var programs = []program{
	{name: etcd, pkg: "go.etcd.io/etcd/server/v3", needGiB: 0.6, control: true},
	{name: apiServer, pkg: "k8s.io/kubernetes/cmd/kube-apiserver", needGiB: 3.4, control: true},
	{name: controllerManager, pkg: "k8s.io/kubernetes/cmd/kube-controller-manager", needGiB: 1.0},
	{name: scheduler, pkg: "k8s.io/kubernetes/cmd/kube-scheduler", needGiB: 0.4},
	{name: kwok, pkg: "sigs.k8s.io/kwok/cmd/kwok", needGiB: 0.6},
}

// binaries are the paths of programs by name.
type binaries map[string]string

// cacheDir returns the folder of the binaries of these versions.
func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder to keep the binaries of the control plane in: %w", err)
	}
	version := fmt.Sprintf("k8s-%s-etcd-%s-kwok-%s", kubernetesVersion, etcdVersion, kwokVersion)
	return filepath.Join(dir, "prumo", "cluster", version), nil
}

// find returns where the programs that opts need are, and which of them are
// still to be built.
func find(dir string, opts Options) (binaries, []program, error) {
	bins := make(binaries)
	var missing []program
	assets := os.Getenv(assetsVariable)
	if assets != "" {
		var err error
		if assets, err = filepath.Abs(assets); err != nil { // servers run in a folder of their own
			return nil, nil, err
		}
	}
	for _, p := range programs {
		switch {
		case !p.control && !opts.Workloads:
			continue
		case p.control && assets != "":
			bins[p.name] = filepath.Join(assets, p.name)
			if !isProgram(bins[p.name]) {
				return nil, nil, fmt.Errorf("%s=%s has no program %s: correct the variable, or unset it to use binaries built from source",
					assetsVariable, assets, p.name)
			}
		default:
			bins[p.name] = filepath.Join(dir, p.name)
			if !isProgram(bins[p.name]) {
				missing = append(missing, p)
			}
		}
	}
	return bins, missing, nil
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// Missing returns the names of the programs that Start would have to build
// first, which takes minutes.
func Missing(opts Options) ([]string, error) {
	dir, err := cacheDir()
	if err != nil {
		return nil, err
	}
	_, missing, err := find(dir, opts)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(missing))
	for _, p := range missing {
		names = append(names, p.name)
	}
	return names, nil
}

// Ensure builds the programs that opts need and that do not exist yet, from
// source, with the go command, and returns the cache folder that they are in.
// The first time it takes about 10 minutes on 2 cores, 6 GiB of disk, and the
// Go module proxy; it must run in a clone of the repository. If the variable
// KUBEBUILDER_ASSETS is set, etcd and kube-apiserver are taken from the folder
// that it names.
func Ensure(ctx context.Context, opts Options) (dir string, err error) {
	if _, err := ensure(ctx, opts); err != nil {
		return "", err
	}
	return cacheDir()
}

func ensure(ctx context.Context, opts Options) (binaries, error) {
	dir, err := cacheDir()
	if err != nil {
		return nil, err
	}
	bins, missing, err := find(dir, opts)
	if err != nil || len(missing) == 0 {
		return bins, err
	}
	if err := build(ctx, dir, opts); err != nil {
		return nil, fmt.Errorf("build the control plane: %w", err)
	}
	return bins, nil
}
