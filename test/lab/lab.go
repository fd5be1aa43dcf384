package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"prumo.dev/prumo/examples"
	"prumo.dev/prumo/test/gitrepo"
)

// Root is the principal who may change the policy.
const Root = "ana"

// A Lab is one infra repo and its people.
type Lab struct {
	Dir    string // all below
	Origin string // the remote: a bare repository
	Trust  string // the trust anchor
	Config string // the daemon's configuration
	Policy string // of the first commit
	Repo   *gitrepo.Repo
	Keys   map[string]*gitrepo.Key // by principal
}

// history is who wrote what of the example, in order. The first commit is the
// introduction.
var history = []struct {
	who, message string
	paths        []string
}{
	{Root, "begin: the house, its rules and who may change what", []string{".prumo", "cue.mod", "kinds", "site.cue", "README.md", ".gitignore"}},
	{"ben", "nodes, pools: two racks and how they are shared out", []string{"nodes", "pools"}},
	{"cai", "datasets: four, from open to restricted", []string{"datasets"}},
	{"flo", "tools: tracking, notebooks, serving, vectors, labels", []string{"tools"}},
	{Root, "workspaces: the first two", []string{"workspaces"}},
}

// New makes a lab in dir: the example with fresh keys, signed and pushed.
func New(dir string) (*Lab, error) {
	l := &Lab{Dir: dir, Origin: filepath.Join(dir, "origin.git"), Trust: filepath.Join(dir, "trust.yaml"),
		Config: filepath.Join(dir, "config.yaml"), Keys: make(map[string]*gitrepo.Key)}
	var err error
	if l.Repo, err = gitrepo.New(filepath.Join(dir, "author.git")); err != nil {
		return nil, err
	}
	policy, err := l.issueKeys()
	if err != nil {
		return nil, err
	}
	l.Policy = string(policy)
	var introduction string
	for _, h := range history {
		for _, p := range h.paths {
			if err := l.add(p); err != nil {
				return nil, err
			}
		}
		if introduction == "" {
			if err := l.Repo.Write(".prumo/policy.yaml", policy); err != nil {
				return nil, err
			}
		}
		id, err := l.Commit(h.who, h.message)
		if err != nil {
			return nil, err
		}
		if introduction == "" {
			introduction = id
		}
	}
	if err := l.WriteTrust(introduction); err != nil {
		return nil, err
	}
	return l, l.Push()
}

// sampleKey is a line of the example's policy that holds a key.
var sampleKey = regexp.MustCompile(`ssh-ed25519 \S+ ([a-z]+)@lab\.example`)

// issueKeys gives everyone in the example's policy a key of their own and
// returns the policy with them.
func (l *Lab) issueKeys() ([]byte, error) {
	policy, err := fs.ReadFile(examples.InfraRepo(), ".prumo/policy.yaml")
	if err != nil {
		return nil, err
	}
	for _, m := range sampleKey.FindAllSubmatch(policy, -1) {
		key, err := l.NewKey(string(m[1]))
		if err != nil {
			return nil, err
		}
		policy = bytes.Replace(policy, m[0], []byte(key.Public()), 1)
	}
	if l.Keys[Root] == nil {
		return nil, fmt.Errorf("the example's policy has no key of %s", Root)
	}
	return policy, nil
}

// NewKey makes a key for someone and leaves its private half in keys/NAME, where
// ssh-keygen and git find it.
func (l *Lab) NewKey(name string) (*gitrepo.Key, error) {
	key, err := gitrepo.NewKey(name + "@lab.example")
	if err != nil {
		return nil, err
	}
	private, err := key.PrivatePEM()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(l.Dir, "keys", name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, private, 0o600); err != nil {
		return nil, err
	}
	l.Keys[name] = key
	return key, os.WriteFile(file+".pub", []byte(key.Public()+"\n"), 0o644)
}

// add writes a file or folder of the example. One that is not there is left out.
func (l *Lab) add(name string) error {
	return fs.WalkDir(examples.InfraRepo(), name, func(p string, d fs.DirEntry, err error) error {
		if p == name && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(examples.InfraRepo(), p)
		if err != nil {
			return err
		}
		return l.Repo.Write(p, data)
	})
}

// Commit commits what was written, signed by a principal; unsigned if who is
// empty. It does not push.
func (l *Lab) Commit(who, message string) (string, error) {
	opts := gitrepo.Options{Message: message + "\n", Name: "nobody", Email: "nobody@lab.example"}
	if who != "" {
		key := l.Keys[who]
		if key == nil {
			return "", fmt.Errorf("nobody here is called %q", who)
		}
		opts.Key, opts.Name, opts.Email = key, strings.ToUpper(who[:1])+who[1:], who+"@lab.example"
	}
	return l.Repo.Commit(opts)
}

// Push sends the branch to the remote.
func (l *Lab) Push() error { return l.Repo.Push(l.Origin) }

// WriteTrust writes the trust anchor: everything begins with the introduction,
// and Root may change the policy.
func (l *Lab) WriteTrust(introduction string) error {
	text := fmt.Sprintf(`apiVersion: prumo.dev/v1alpha1
kind: TrustAnchor
introduction: %s
root:
  threshold: 1
  principals:
    %s: {keys: [{ssh: %q}]}
`, introduction, Root, l.Keys[Root].Public())
	return os.WriteFile(l.Trust, []byte(text), 0o600)
}

// WriteConfig writes the daemon's configuration. Lines of more, such as a forge
// section, are added at its end.
func (l *Lab) WriteConfig(kubeconfig string, more ...string) error {
	lines := []string{
		"apiVersion: prumo.dev/v1alpha1",
		"kind: ReconcilerConfig",
		"instance: lab",
		fmt.Sprintf("repo: {url: %q, ref: refs/heads/main}", l.Origin),
		"trustFile: trust.yaml",
		"stateDir: state",
		fmt.Sprintf("kubeconfig: %q", kubeconfig),
		"interval: 2s",
		`listen: "127.0.0.1:0"`,
		"report: {json: report.json, markdown: report.md}",
	}
	return os.WriteFile(l.Config, []byte(strings.Join(slices.Concat(lines, more), "\n")+"\n"), 0o600)
}
