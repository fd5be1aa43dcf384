package config

import (
	"fmt"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"

	"prumo.dev/prumo/internal/core"
)

// Kind is the kind of the configuration file; its apiVersion is core.APIVersion.
const Kind = "ReconcilerConfig"

// Config is the daemon's configuration. File names in it are absolute after
// Load.
type Config struct {
	// File is the name that it was loaded by; empty if by none.
	File string `yaml:"-"`

	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`

	// Instance marks the objects that this daemon manages. Two daemons on one
	// cluster need two instances. A DNS label.
	Instance string `yaml:"instance"`

	Repo Repo `yaml:"repo"`

	// TrustFile is the trust anchor: who is obeyed, from which commit on.
	TrustFile string `yaml:"trustFile"`

	// StateDir holds the fetched objects and the last accepted revision.
	StateDir string `yaml:"stateDir"`

	// StateNamespace is where the daemon remembers in the cluster too what must
	// outlive its disk. Each instance needs its own. Empty: on disk alone.
	StateNamespace string `yaml:"stateNamespace"`

	// Kubeconfig and Context name the cluster; empty means kubectl's rules, and
	// inside a cluster its ServiceAccount.
	Kubeconfig string `yaml:"kubeconfig"`
	Context    string `yaml:"context"`

	// Interval is the time between two looks at the repo. A change in the cluster
	// is seen at once.
	Interval Duration `yaml:"interval"`

	// Verify is about how long the daemon believes what it learned of an object by
	// watching before it asks the API server again.
	Verify Duration `yaml:"verify"`

	// Grace is how long a pass may go on after the daemon is told to stop.
	Grace Duration `yaml:"grace"`

	// Listen is the address of /metrics, /healthz, /readyz and /api/v1/status.
	// Without a host all networks reach it.
	Listen string `yaml:"listen"`

	// StatusTokenFile holds a token that whoever asks for /api/v1/status must show:
	// what is there names objects, people and values. Empty: nobody must.
	StatusTokenFile string `yaml:"statusTokenFile"`

	// MetricsTokenFile holds a token that a Prometheus must show for /metrics (its
	// authorization.credentials_file). Empty: none must.
	MetricsTokenFile string `yaml:"metricsTokenFile"`

	Drift Drift `yaml:"drift"`

	Deletion Deletion `yaml:"deletion"`

	Log    Log    `yaml:"log"`
	Report Report `yaml:"report"`
	Forge  *Forge `yaml:"forge"`
	Images Images `yaml:"images"`

	Evaluator Evaluator `yaml:"evaluator"`
}

// Repo is the infra repo and the branch that is obeyed.
type Repo struct {
	URL  string `yaml:"url"` // https, ssh, file or a local path
	Ref  string `yaml:"ref"` // full name; default refs/heads/main
	Auth Auth   `yaml:"auth"`

	// StoreMiB is what its fetched objects may take in StateDir, in MiB. While they
	// are packed anew they take twice that; pull requests add 96 MiB. Default 768.
	StoreMiB int64 `yaml:"storeMiB"`
}

// Auth names the files that hold what the remote asks for.
type Auth struct {
	Username       string `yaml:"username"` // for https; default "git"
	PasswordFile   string `yaml:"passwordFile"`
	SSHKeyFile     string `yaml:"sshKeyFile"`
	KnownHostsFile string `yaml:"knownHostsFile"`
	CAFile         string `yaml:"caFile"`
}

// Drift is when drift counts, and how long it is remembered.
type Drift struct {
	// Debounce is how long hardware must differ from what is declared before that
	// is drift, and be well again before a precaution ends: label publishers
	// restart, and take their labels with them.
	Debounce Duration `yaml:"debounce"`

	// History is how many drifts are remembered and shown.
	History int `yaml:"history"`
}

// Deletion is how much a plan may delete without an approval: Max objects, or Share
// of all that are managed (0 to 1), whichever is more. What holds data waits for
// one in any case.
type Deletion struct {
	Max   int     `yaml:"max"`
	Share float64 `yaml:"share"`
}

// DefaultDeletion is what holds where nothing is said.
var DefaultDeletion = Deletion{Max: 5, Share: 0.10}

// Log is how the daemon logs to standard error.
type Log struct {
	Format string `yaml:"format"` // text or json; default text
	Level  string `yaml:"level"`  // debug, info, warn, error; default info
}

// Report is where each pass leaves its drift report. Empty means nowhere. Neither may
// be in the state folder.
type Report struct {
	JSON     string `yaml:"json"`
	Markdown string `yaml:"markdown"`
}

// Forge is where pull requests are planned.
type Forge struct {
	Type      string `yaml:"type"` // github: GitHub, Gitea, Forgejo
	URL       string `yaml:"url"`  // of the API, such as https://git.example/api/v1
	Repo      string `yaml:"repo"` // owner/name
	TokenFile string `yaml:"tokenFile"`
	CAFile    string `yaml:"caFile"`
	Status    bool   `yaml:"status"` // set a commit status too; the token needs the right to
}

// Images is where container images are verified from, if the policy of the repo
// speaks of them.
type Images struct {
	// SigstoreRoot is the trusted_root.json of a Sigstore instance, for keyless
	// signatures and transparency logs.
	SigstoreRoot string     `yaml:"sigstoreRoot"`
	Registries   []Registry `yaml:"registries"`
}

// Registry is a registry that asks for credentials or has a CA of its own.
type Registry struct {
	Host             string `yaml:"host"` // with its port, such as registry.lab.example:5000
	Username         string `yaml:"username"`
	PasswordFile     string `yaml:"passwordFile"`
	DockerConfigFile string `yaml:"dockerConfigFile"` // instead: a docker config.json; its credential helpers are not run
	CAFile           string `yaml:"caFile"`
}

// Evaluator is where CUE is evaluated, and what must stand around that.
type Evaluator struct {
	// Socket is the Unix socket of `reconciler evaluator`, which runs apart from the
	// daemon. Empty: the daemon starts a child process of its own.
	Socket string `yaml:"socket"`

	// Require are the walls without which the daemon does not start: landlock, seccomp.
	// What is missing and not required is a warning.
	Require []string `yaml:"require"`
}

// A Duration is a time.Duration written as Go writes it, such as 30s.
type Duration time.Duration

// UnmarshalYAML reads a Go duration above zero.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil || v <= 0 {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %q is not a duration, want one such as 30s or 5m", n.Line, n.Value)}}
	}
	*d = Duration(v)
	return nil
}

// Load reads and checks a configuration file. Mistakes in it are Problems; an
// error means that it could not be read.
func Load(file string) (*Config, []core.Problem, error) {
	data, err := ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("configuration file: %w; `reconciler run --help` shows an example of one", err)
	}
	c := defaults()
	problems := decode(file, data, c)
	if len(problems) > 0 {
		return nil, problems, nil
	}
	if problems := c.check(file, data); len(problems) > 0 {
		return nil, problems, nil
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, nil, err
	}
	c.File = file
	c.resolve(dir)
	return c, nil, nil
}

func defaults() *Config {
	return &Config{
		Repo:     Repo{Ref: "refs/heads/main"},
		Interval: Duration(30 * time.Second),
		Verify:   Duration(30 * time.Minute),
		Deletion: DefaultDeletion,
		Grace:    Duration(20 * time.Second),
		Drift:    Drift{Debounce: Duration(3 * time.Minute), History: 200},
		Listen:   "127.0.0.1:8080",
		Log:      Log{Format: "text", Level: "info"},
	}
}

// resolve makes file names absolute: relative ones are relative to the
// configuration file.
func (c *Config) resolve(dir string) {
	names := []*string{&c.TrustFile, &c.StateDir, &c.Kubeconfig, &c.Report.JSON, &c.Report.Markdown,
		&c.Repo.Auth.PasswordFile, &c.Repo.Auth.SSHKeyFile, &c.Repo.Auth.KnownHostsFile, &c.Repo.Auth.CAFile}
	names = append(names, &c.Images.SigstoreRoot, &c.StatusTokenFile, &c.MetricsTokenFile, &c.Evaluator.Socket)
	for i := range c.Images.Registries {
		r := &c.Images.Registries[i]
		names = append(names, &r.PasswordFile, &r.DockerConfigFile, &r.CAFile)
	}
	if c.Forge != nil {
		names = append(names, &c.Forge.TokenFile, &c.Forge.CAFile)
	}
	for _, name := range names {
		if *name != "" && !filepath.IsAbs(*name) {
			*name = filepath.Join(dir, *name)
		}
	}
}
