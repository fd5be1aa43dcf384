package deploy_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"prumo.dev/prumo/deploy"
	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/trust"
)

// objects decodes a YAML stream as the API server's clients do.
func objects(t *testing.T, data []byte) []*unstructured.Unstructured {
	t.Helper()
	var list []*unstructured.Unstructured
	for dec := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096); ; {
		u := new(unstructured.Unstructured)
		switch err := dec.Decode(u); {
		case err == io.EOF:
			return list
		case err != nil:
			t.Fatal(err)
		case len(u.Object) > 0:
			list = append(list, u)
		}
	}
}

func render(t *testing.T, opts deploy.Options) []*unstructured.Unstructured {
	t.Helper()
	data, err := deploy.Render(opts)
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, data)
}

func find(t *testing.T, list []*unstructured.Unstructured, kind string) *unstructured.Unstructured {
	t.Helper()
	for _, u := range list {
		if u.GetKind() == kind {
			return u
		}
	}
	t.Fatalf("no %s", kind)
	return nil
}

// configFile returns a file of the ConfigMap.
func configFile(t *testing.T, list []*unstructured.Unstructured, name string) string {
	t.Helper()
	text, ok, err := unstructured.NestedString(find(t, list, "ConfigMap").Object, "data", name)
	if !ok || err != nil {
		t.Fatalf("no %s in the ConfigMap: %v", name, err)
	}
	return text
}

func TestRenderNothingIsThePlainManifests(t *testing.T) {
	files, err := filepath.Glob("manifests/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var want []*unstructured.Unstructured
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, objects(t, data)...)
	}
	got := render(t, deploy.Options{})
	unstructured.RemoveNestedField(find(t, got, "Deployment").Object, "spec", "template", "metadata", "annotations")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func TestRenderOptions(t *testing.T) {
	opts := deploy.Options{
		Namespace: "gitops",
		Image:     "registry.lab.example:5000/prumo-system/reconciler@sha256:" + strings.Repeat("a", 64),
		Instance:  "true", // YAML would read a boolean
		Repo:      "ssh://git@git.lab.example:2222/prumo-system/infra.git",
		Ref:       "refs/heads/prumo-system",
		Trust:     []byte("kind: TrustAnchor\n# of prumo-system\nkey: |\n  line\n"),
	}
	data, err := deploy.Render(opts)
	if err != nil {
		t.Fatal(err)
	}
	got := objects(t, data)
	for _, where := range []string{"containers", "initContainers"} {
		list, _, err := unstructured.NestedSlice(find(t, got, "Deployment").Object, "spec", "template", "spec", where)
		if err != nil || len(list) != 1 || list[0].(map[string]any)["image"] != opts.Image {
			t.Errorf("%s %v, %v, want one of the image %s", where, list, err, opts.Image)
		}
	}
	if diff := cmp.Diff(string(opts.Trust), configFile(t, got, "trust.yaml")); diff != "" {
		t.Errorf("trust.yaml (-want +got):\n%s", diff)
	}
	cfg := loadConfig(t, configFile(t, got, "config.yaml"))
	if diff := cmp.Diff([]string{opts.Instance, opts.Repo, opts.Ref}, []string{cfg.Instance, cfg.Repo.URL, cfg.Repo.Ref}); diff != "" {
		t.Errorf("config.yaml (-want +got):\n%s", diff)
	}
	for _, u := range got {
		if ns := u.GetNamespace(); ns != "" && ns != "gitops" {
			t.Errorf("%s %s is in %s", u.GetKind(), u.GetName(), ns)
		}
	}
	if n := bytes.Count(data, []byte(deploy.Namespace)); n != 5 {
		t.Errorf("%s occurs %d times, want 5: in both images, the repo, ref and trust anchor that were given\n%s", deploy.Namespace, n, data)
	}
	if !strings.Contains(string(data), "port: 2222}") {
		t.Error("the NetworkPolicy does not let the daemon reach port 2222 of the repo")
	}
}

func TestRenderRefuses(t *testing.T) {
	tests := map[string]struct {
		opts deploy.Options
		want string
	}{
		"namespace that breaks out": {deploy.Options{Namespace: `x" || true`}, "DNS label"},
		"namespace of the plane":    {deploy.Options{Namespace: "kube-system"}, "one of its own"},
		"default namespace":         {deploy.Options{Namespace: "default"}, "one of its own"},
		"image with a line break":   {deploy.Options{Image: "a\nb"}, "image"},
		"instance":                  {deploy.Options{Instance: "Lab 1"}, "instance"},
		"repo with a space":         {deploy.Options{Repo: "https://git.example/a b"}, "want a URL"},
		"repo with a password":      {deploy.Options{Repo: "https://bot:hunter2@git.example/a.git"}, "holds a password"},
		"tag":                       {deploy.Options{Ref: "refs/tags/v1"}, "branch name"},
		"huge trust anchor":         {deploy.Options{Trust: make([]byte, 1<<20)}, "larger than 512 KiB"},
		"binary trust anchor":       {deploy.Options{Trust: []byte{0xff, 0xfe}}, "not UTF-8"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := deploy.Render(tt.opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if len(out) > 0 || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("output %q, error %q: want no output, no password", out, err)
			}
		})
	}
}

// The daemon reads its configuration only once: another one must restart it, the
// same one must not.
func TestRenderRestarts(t *testing.T) {
	hash := func(opts deploy.Options) string {
		a, _, err := unstructured.NestedStringMap(find(t, render(t, opts), "Deployment").Object, "spec", "template", "metadata", "annotations")
		if err != nil || len(a) != 1 {
			t.Fatalf("annotations %v, %v", a, err)
		}
		return a["prumo.dev/config-sha256"]
	}
	base := hash(deploy.Options{Repo: "https://git.example/a.git"})
	if again := hash(deploy.Options{Repo: "https://git.example/a.git", Image: "other"}); again != base {
		t.Error("the same configuration has another hash")
	}
	for _, opts := range []deploy.Options{{Repo: "https://git.example/b.git"}, {Repo: "https://git.example/a.git", Trust: []byte("a: 1\n")}} {
		if hash(opts) == base {
			t.Errorf("%+v has the hash of another configuration", opts)
		}
	}
}

// As they stand, the manifests configure a daemon that obeys nobody.
func TestPlainConfiguration(t *testing.T) {
	got := render(t, deploy.Options{})
	cfg := loadConfig(t, configFile(t, got, "config.yaml"))
	if cfg.Listen != ":8080" {
		t.Errorf("listens on %s, the probes ask on :8080", cfg.Listen)
	}
	anchor, problems := trust.ParseAnchor("trust.yaml", []byte(configFile(t, got, "trust.yaml")))
	if anchor != nil || len(problems) == 0 {
		t.Errorf("the trust anchor of the manifests is accepted: %+v", anchor)
	}
	for _, comment := range []string{"# auth:", "# forge:"} { // examples must be right too
		if !strings.Contains(configFile(t, got, "config.yaml"), comment) {
			t.Errorf("config.yaml lost its example %q", comment)
		}
	}
	full := strings.NewReplacer("# forge:", "forge:", "#   ", "  ", "# auth:", "auth:").Replace(configFile(t, got, "config.yaml"))
	cfg = loadConfig(t, full)
	if cfg.Forge == nil || cfg.Forge.TokenFile == "" || cfg.Repo.Auth.PasswordFile == "" {
		t.Errorf("config.yaml with its examples is %+v", cfg)
	}
}

func loadConfig(t *testing.T, text string) *config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, problems, err := config.Load(file)
	if err != nil || len(problems) > 0 {
		t.Fatalf("config.yaml: %v %v\n%s", problems, err, text)
	}
	return cfg
}
