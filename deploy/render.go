package deploy

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Namespace is the one that the manifests name. Names of cluster-wide objects
// begin with it, so that several daemons fit in one cluster.
const Namespace = "prumo-system"

// maxTrust bounds a trust anchor, in bytes; a ConfigMap holds 1 MiB in all.
const maxTrust = 512 << 10

// Options are what differs from cluster to cluster. What is empty stays as the
// manifests have it.
type Options struct {
	Namespace string // default Namespace
	Image     string // of `make image`, in a registry that the nodes reach
	Instance  string // marks what this daemon manages; a DNS label
	Repo      string // URL of the infra repo, without a password
	Ref       string // full name of the branch that is obeyed
	Trust     []byte // the trust anchor, a file of kind TrustAnchor
}

var (
	dnsLabel  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	imageName = regexp.MustCompile(`^[a-zA-Z0-9][-a-zA-Z0-9._:/@]{0,500}$`)
	branchRef = regexp.MustCompile(`^refs/heads/[^\s~^:?*\[\\]{1,200}$`)
	repoURL   = regexp.MustCompile(`^[!-~]{1,1000}$`)
)

// Render returns the manifests as one YAML stream, in the order in which they
// are to be applied.
func Render(opts Options) ([]byte, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	docs, err := parse()
	if err != nil {
		return nil, err
	}
	if err := opts.edit(docs); err != nil {
		return nil, err
	}
	return encode(docs...)
}

func (o Options) check() error {
	var errs []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	want(o.Namespace == "" || dnsLabel.MatchString(o.Namespace), "namespace %q: want a DNS label such as %s", o.Namespace, Namespace)
	want(!strings.HasPrefix(o.Namespace, "kube-") && o.Namespace != "default", "namespace %q: want one of its own, since the guard closes it to the daemon", o.Namespace)
	want(o.Image == "" || imageName.MatchString(o.Image), "image %q: want a reference such as registry.example/prumo/reconciler@sha256:…", o.Image)
	want(o.Instance == "" || dnsLabel.MatchString(o.Instance), "instance %q: want a DNS label such as lab", o.Instance)
	want(o.Ref == "" || branchRef.MatchString(o.Ref), "ref %q: want a full branch name such as refs/heads/main", o.Ref)
	want(o.Repo == "" || repoURL.MatchString(o.Repo), "repo: want a URL such as https://git.example/lab/infra.git")
	want(!hasPassword(o.Repo), "repo: its URL holds a password; put that into the Secret prumo and name the file in repo.auth.passwordFile")
	want(len(o.Trust) <= maxTrust, "trust anchor: larger than %d KiB", maxTrust>>10)
	want(utf8.Valid(o.Trust), "trust anchor: not UTF-8")
	return errors.Join(errs...)
}

func hasPassword(repo string) bool {
	u, err := url.Parse(repo)
	if err != nil || u.User == nil {
		return false
	}
	_, ok := u.User.Password()
	return ok
}

// parse returns all documents of manifests/.
func parse() ([]*yaml.Node, error) {
	files, err := fs.Glob(FS, "manifests/*.yaml")
	if err != nil {
		return nil, err
	}
	var docs []*yaml.Node
	for _, file := range files { // sorted
		data, err := FS.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
			doc := new(yaml.Node)
			if err := dec.Decode(doc); err == io.EOF {
				break
			} else if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			docs = append(docs, doc)
		}
	}
	return docs, nil
}

// edit puts the options in their places.
func (o Options) edit(docs []*yaml.Node) error {
	for _, doc := range docs {
		if o.Namespace != "" { // first, so that it touches nothing of the other options
			rename(doc, Namespace, o.Namespace)
		}
		var err error
		switch at(doc, "kind").Value {
		case "ConfigMap":
			err = o.editConfig(doc)
		case "Deployment":
			pod := []string{"spec", "template", "spec"}
			err = errors.Join(
				set(doc, o.Image, append(pod, "containers", "0", "image")...),
				set(doc, o.Image, append(pod, "initContainers", "0", "image")...))
		case "NetworkPolicy":
			err = o.editPorts(doc)
		}
		if err != nil {
			return err
		}
	}
	return o.restart(docs)
}

func (o Options) editConfig(doc *yaml.Node) error {
	text := at(doc, "data", "config.yaml")
	config := new(yaml.Node)
	if err := yaml.Unmarshal([]byte(text.Value), config); err != nil {
		return fmt.Errorf("config.yaml: %w", err)
	}
	err := errors.Join(
		set(config, o.Instance, "instance"),
		set(config, o.Repo, "repo", "url"),
		set(config, o.Ref, "repo", "ref"),
		set(doc, string(o.Trust), "data", "trust.yaml"),
	)
	if err != nil {
		return err
	}
	out, err := encode(config)
	text.Value = string(out)
	return err
}

// editPorts lets the daemon reach a repo on a port of its own.
func (o Options) editPorts(doc *yaml.Node) error {
	u, err := url.Parse(o.Repo)
	if err != nil || u.Port() == "" || slices.Contains([]string{"22", "443", "6443"}, u.Port()) {
		return nil // not a URL but user@host:path, or open already
	}
	ports := at(doc, "spec", "egress", "1", "ports")
	port := new(yaml.Node)
	if err := port.Encode(map[string]any{"protocol": "TCP"}); err != nil {
		return err
	}
	port.Content = append(port.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "port"}, &yaml.Node{Kind: yaml.ScalarNode, Value: u.Port()})
	port.Style = yaml.FlowStyle
	ports.Content = append(ports.Content, port)
	return nil
}

// restart marks the pod with what is configured, so that applying another
// configuration restarts the daemon, which reads it only once.
func (o Options) restart(docs []*yaml.Node) error {
	sum := sha256.New()
	for _, doc := range docs {
		if at(doc, "kind").Value == "ConfigMap" {
			data, err := encode(at(doc, "data"))
			if err != nil {
				return err
			}
			sum.Write(data)
		}
	}
	for _, doc := range docs {
		if at(doc, "kind").Value == "Deployment" {
			var annotations yaml.Node
			if err := annotations.Encode(map[string]string{"prumo.dev/config-sha256": fmt.Sprintf("%x", sum.Sum(nil))}); err != nil {
				return err
			}
			meta := at(doc, "spec", "template", "metadata")
			meta.Content = append(meta.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "annotations"}, &annotations)
		}
	}
	return nil
}
