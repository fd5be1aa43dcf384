package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const valid = `apiVersion: prumo.dev/v1alpha1
kind: ReconcilerConfig
instance: lab
repo:
  url: https://git.example/lab/infra.git
  auth: {passwordFile: token}
trustFile: trust.yaml
stateDir: /var/lib/prumo
`

func load(t *testing.T, text string) (*Config, []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, problems, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range problems {
		p.Pos.File = "config.yaml"
		got = append(got, p.String())
	}
	return c, got
}

// Reports are never where the daemon keeps what it must remember.
func TestReportsAreNotInTheStateFolder(t *testing.T) {
	for name, bad := range map[string]bool{"/var/lib/prumo/report.json": true, "/var/lib/prumo/a/../b/report.json": true,
		"/var/lib/prumo2/report.json": false, "/var/lib/prumo/../report.json": false, "report.json": false} {
		_, problems := load(t, valid+"report: {json: "+name+"}\n")
		if got := len(problems) > 0; got != bad || bad && !strings.Contains(problems[0], "report.json: lies in stateDir") {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestLoadDefaultsAndPaths(t *testing.T) {
	c, problems := load(t, valid)
	if problems != nil {
		t.Fatal(problems)
	}
	if got, want := c.Interval, Duration(30*time.Second); got != want {
		t.Errorf("interval %v, want %v", got, want)
	}
	if got, want := c.Verify, Duration(30*time.Minute); got != want {
		t.Errorf("verify %v, want %v", got, want)
	}
	if c.Deletion != DefaultDeletion {
		t.Errorf("deletion %v, want %v", c.Deletion, DefaultDeletion)
	}
	if got, want := c.Repo.Ref, "refs/heads/main"; got != want {
		t.Errorf("ref %q, want %q", got, want)
	}
	if filepath.Base(c.TrustFile) != "trust.yaml" || !filepath.IsAbs(c.TrustFile) {
		t.Errorf("trustFile %q, want it absolute beside the file", c.TrustFile)
	}
	if c.StateDir != "/var/lib/prumo" {
		t.Errorf("stateDir %q, want it unchanged", c.StateDir)
	}
}

// TestLoadFromHere has a name that is relative to the working directory.
func TestLoadFromHere(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("config.yaml", []byte(valid), 0o600); err != nil {
		t.Fatal(err)
	}
	c, problems, err := Load("config.yaml")
	if err != nil || problems != nil {
		t.Fatal(err, problems)
	}
	if !filepath.IsAbs(c.TrustFile) || !filepath.IsAbs(c.Repo.Auth.PasswordFile) {
		t.Errorf("trustFile %q, passwordFile %q, want them absolute", c.TrustFile, c.Repo.Auth.PasswordFile)
	}
}

func TestEvaluator(t *testing.T) {
	c, problems := load(t, valid+"evaluator: {socket: run/socket, require: [landlock, seccomp]}\n")
	if problems != nil {
		t.Fatal(problems)
	}
	if !filepath.IsAbs(c.Evaluator.Socket) || len(c.Evaluator.Require) != 2 {
		t.Errorf("evaluator %+v, want an absolute socket and two walls", c.Evaluator)
	}
}

func TestLoadProblems(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"unknown key", valid + "intervall: 3s\n",
			[]string{"config.yaml:9: unknown key \"intervall\"; `reconciler run --help` shows an example of all keys"}},
		{"unknown nested key", valid + "log: {fromat: json}\n",
			[]string{"config.yaml:9: unknown key \"fromat\"; `reconciler run --help` shows an example of all keys"}},
		{"duration", valid + "interval: fast\n",
			[]string{`config.yaml:9: "fast" is not a duration, want one such as 30s or 5m`}},
		{"duplicate key", valid + "instance: b\n",
			[]string{`config.yaml:9: mapping key "instance" already defined at line 3`}},
		{"no namespace", valid + "stateNamespace: Prumo_System\n",
			[]string{`config.yaml:9: stateNamespace: "Prumo_System", want a namespace such as prumo-system`}},
		{"deletions below none", valid + "deletion: {max: -1, share: 2}\n", []string{
			`config.yaml:9: deletion.max: -1, want a number of objects, or 0 for none`,
			`config.yaml:9: deletion.share: 2, want a share between 0 and 1`}},
		{"a store below none", strings.Replace(valid, "repo:", "repo:\n  storeMiB: -1", 1), []string{
			`config.yaml:5: repo.storeMiB: -1, want 1 to 1048576, or none for 768`}},
		{"types", "deletion: 5\nforge: [a]\nimages: {registries: {host: x}}\ndrift: {history: many}\nlisten: {a: b}\n" + strings.ReplaceAll(valid, "instance: lab", "instance: [lab]"), []string{
			"config.yaml:1: \"5\" does not fit, want keys and values; `reconciler run --help` shows them",
			"config.yaml:2: a list does not fit, want keys and values; `reconciler run --help` shows them",
			"config.yaml:3: a map does not fit, want a list",
			`config.yaml:4: "many" does not fit, want a number`,
			"config.yaml:5: a map does not fit, want a text",
			"config.yaml:8: a list does not fit, want a text",
		}},
		{"tabs", "repo:\n\turl: x\n",
			[]string{"config.yaml:2: not valid YAML: found character that cannot start any token; YAML is indented with spaces, never with tabs"}},
		{"no YAML", "kind: x\na: b: c\n", []string{"config.yaml:2: not valid YAML: mapping values are not allowed in this context"}},
		{"two documents", valid + "---\nkind: x\n", []string{"config.yaml: more than one document, want one"}},
		{"empty", "", []string{
			`config.yaml:1: apiVersion: "", want prumo.dev/v1alpha1`,
			`config.yaml:1: kind: "", want ReconcilerConfig`,
			`config.yaml:1: instance: "", want a DNS label such as lab`,
			`config.yaml:1: repo.url: missing, want the URL of the infra repo`,
			`config.yaml:1: trustFile: missing, want the file that says who is obeyed`,
			`config.yaml:1: stateDir: missing, want a folder that survives a restart`,
		}},
		{"walls that nobody knows", valid + "evaluator:\n  socket: " + strings.Repeat("s", 108) + "\n  require: [landlock, moat]\n", []string{
			`config.yaml:10: evaluator.socket: 108 bytes, want a path of at most 107: no socket has a longer one`,
			`config.yaml:11: evaluator.require: "moat", want landlock or seccomp`,
		}},
		{"nested place", valid + "forge:\n  type: gitlab\n  url: https://x\n  repo: a\n", []string{
			`config.yaml:10: forge.type: "gitlab", want github`,
			`config.yaml:12: forge.repo: "a", want owner/name`,
			`config.yaml:9: forge.tokenFile: missing, want a file with the token`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, got := load(t, tt.text)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadFileIsBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(file, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(file); err == nil {
		t.Error("read a file over the limit")
	}
}
