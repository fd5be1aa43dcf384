package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"prumo.dev/prumo/internal/core"
)

// Kind is the kind of the configuration file; its apiVersion is core.APIVersion.
const Kind = "ReconcilerConfig"

// maxHistory bounds drift.history.
const maxHistory = 1000

// maxFile bounds the configuration file and each secret file, in bytes.
const maxFile = 1 << 20

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
}

// Repo is the infra repo and the branch that is obeyed.
type Repo struct {
	URL  string `yaml:"url"` // https, ssh, file or a local path
	Ref  string `yaml:"ref"` // full name; default refs/heads/main
	Auth Auth   `yaml:"auth"`
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

// Report is where each pass leaves its drift report. Empty means nowhere.
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
	c.File = file
	c.resolve(filepath.Dir(file))
	return c, nil, nil
}

// ReadFile reads a file of at most 1 MiB.
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxFile)
	}
	return data, nil
}

// ReadSecret reads a file that holds a secret, without the line end that editors
// leave. An empty name is an empty secret.
func ReadSecret(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	data, err := ReadFile(name)
	return strings.TrimRight(string(data), "\r\n"), err
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

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)

func decode(file string, data []byte, c *Config) []core.Problem {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	err := dec.Decode(c)
	if err == nil {
		err = dec.Decode(new(yaml.Node))
		if err == nil {
			return []core.Problem{problem(file, 0, "more than one document, want one")}
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	msgs := []string{err.Error()}
	if te := (*yaml.TypeError)(nil); errors.As(err, &te) {
		msgs = te.Errors
	}
	var problems []core.Problem
	for _, msg := range msgs {
		line := 0
		if m := yamlLine.FindStringSubmatch(msg); m != nil {
			line, _ = strconv.Atoi(m[1])
			msg = m[2]
		}
		problems = append(problems, problem(file, line, plain(msg)))
	}
	return problems
}

var unknownField = regexp.MustCompile(`^field (\S+) not found in type config\.(\S+)$`)

// plain says a message of the YAML library in the file's words.
func plain(msg string) string {
	if m := unknownField.FindStringSubmatch(msg); m != nil {
		return fmt.Sprintf("unknown key %q; `reconciler run --help` shows an example of all keys", m[1])
	}
	return strings.TrimPrefix(msg, "yaml: ")
}

func problem(file string, line int, msg string) core.Problem {
	return core.Problem{Pos: core.Pos{File: file, Line: line}, Stage: core.StageFetch, Msg: msg}
}

var (
	dnsLabel     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	registryHost = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$`)
	repoName     = regexp.MustCompile(`^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$`)
)

// check returns what is missing or makes no sense.
func (c *Config) check(file string, data []byte) []core.Problem {
	var problems []core.Problem
	want := func(ok bool, path, msg string) {
		if !ok {
			problems = append(problems, problem(file, lineOf(data, path), path+": "+msg))
		}
	}
	oneOf := func(path, value string, allowed ...string) {
		for _, a := range allowed {
			if value == a {
				return
			}
		}
		want(false, path, fmt.Sprintf("%q, want %s", value, strings.Join(allowed, " or ")))
	}
	_, _, err := net.SplitHostPort(c.Listen)
	want(err == nil, "listen", fmt.Sprintf("%q, want an address with a port such as 127.0.0.1:8080", c.Listen))
	oneOf("apiVersion", c.APIVersion, core.APIVersion)
	oneOf("kind", c.Kind, Kind)
	want(dnsLabel.MatchString(c.Instance), "instance", fmt.Sprintf("%q, want a DNS label such as lab", c.Instance))
	want(c.Repo.URL != "", "repo.url", "missing, want the URL of the infra repo")
	want(strings.HasPrefix(c.Repo.Ref, "refs/heads/"), "repo.ref", fmt.Sprintf("%q, want a full branch name such as refs/heads/main", c.Repo.Ref))
	want(c.TrustFile != "", "trustFile", "missing, want the file that says who is obeyed")
	want(c.StateDir != "", "stateDir", "missing, want a folder that survives a restart")
	want(c.StateNamespace == "" || dnsLabel.MatchString(c.StateNamespace), "stateNamespace", fmt.Sprintf("%q, want a namespace such as prumo-system", c.StateNamespace))
	want(c.Drift.History >= 1 && c.Drift.History <= maxHistory, "drift.history", fmt.Sprintf("%d, want 1 to %d", c.Drift.History, maxHistory))
	want(c.Deletion.Max >= 0, "deletion.max", fmt.Sprintf("%d, want a number of objects, or 0 for none", c.Deletion.Max))
	want(c.Deletion.Share >= 0 && c.Deletion.Share <= 1, "deletion.share", fmt.Sprintf("%v, want a share between 0 and 1", c.Deletion.Share))
	oneOf("log.format", c.Log.Format, "text", "json")
	oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	if c.Forge != nil {
		oneOf("forge.type", c.Forge.Type, "github")
		want(c.Forge.URL != "", "forge.url", "missing, want the API's URL such as https://git.example/api/v1")
		want(repoName.MatchString(c.Forge.Repo), "forge.repo", fmt.Sprintf("%q, want owner/name", c.Forge.Repo))
		want(c.Forge.TokenFile != "", "forge.tokenFile", "missing, want a file with the token")
	}
	hosts := make(map[string]bool)
	for i, r := range c.Images.Registries {
		path := fmt.Sprintf("images.registries[%d]", i)
		want(registryHost.MatchString(r.Host), path+".host", fmt.Sprintf("%q, want a host such as registry.lab.example, with its port if it has one", r.Host))
		want(!hosts[r.Host], path+".host", fmt.Sprintf("%s is written twice", r.Host))
		want(r.DockerConfigFile == "" || r.Username == "" && r.PasswordFile == "", path, "both dockerConfigFile and username or passwordFile, want one of them")
		want((r.Username == "") == (r.PasswordFile == ""), path, "username and passwordFile go together")
		hosts[r.Host] = true
	}
	return problems
}

// lineOf returns the line of a dotted path, or of the nearest parent that is
// there; 1 if none is.
func lineOf(data []byte, path string) int {
	var doc yaml.Node
	if yaml.Unmarshal(data, &doc) != nil || len(doc.Content) == 0 {
		return 1
	}
	node, line := doc.Content[0], 1
	for key := range strings.SplitSeq(path, ".") {
		i := 0
		for ; i+1 < len(node.Content) && node.Content[i].Value != key; i += 2 {
		}
		if i+1 >= len(node.Content) {
			break
		}
		line, node = node.Content[i].Line, node.Content[i+1]
	}
	return line
}

// resolve makes file names absolute: relative ones are relative to the
// configuration file.
func (c *Config) resolve(dir string) {
	names := []*string{&c.TrustFile, &c.StateDir, &c.Kubeconfig, &c.Report.JSON, &c.Report.Markdown,
		&c.Repo.Auth.PasswordFile, &c.Repo.Auth.SSHKeyFile, &c.Repo.Auth.KnownHostsFile, &c.Repo.Auth.CAFile}
	names = append(names, &c.Images.SigstoreRoot, &c.StatusTokenFile, &c.MetricsTokenFile)
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
