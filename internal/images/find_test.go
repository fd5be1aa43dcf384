package images

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"sigs.k8s.io/yaml"

	"prumo.dev/prumo/internal/core"
)

// TestFind covers every place where an image hides (76), and that a rewrite
// reaches them all without touching the object that it was made from.
func TestFind(t *testing.T) {
	fields := []core.ImageField{{Kind: "Train.ai.example", Paths: []string{"spec.workers[*].runtime", "spec.image"}},
		{Kind: "Catalog", Paths: []string{"data.notebook"}}, {Kind: "HelmChart.helm.cattle.io", Paths: []string{"spec.set.image"}}}
	for _, tc := range []struct {
		name, group, kind, fields string
		want                      []string // path=image, ? for a guess
	}{
		{"pod", "", "Pod", `
spec:
  containers: [{image: a}, {image: b}]
  initContainers: [{image: c}]
  ephemeralContainers: [{image: d}]
  volumes: [{name: v, image: {reference: e}}, {name: w, emptyDir: {}}]`,
			[]string{".spec.containers[0].image=a", ".spec.containers[1].image=b", ".spec.ephemeralContainers[0].image=d",
				".spec.initContainers[0].image=c", ".spec.volumes[0].image.reference=e"}},
		{"cron job", "batch", "CronJob", `{spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: a}]}}}}}}`,
			[]string{".spec.jobTemplate.spec.template.spec.containers[0].image=a"}},
		{"pod of a custom resource", "ray.io", "RayCluster", `{spec: {workers: [{template: {spec: {initContainers: [{image: a}]}}}]}}`,
			[]string{".spec.workers[0].template.spec.initContainers[0].image=a"}},
		{"declared", "ai.example", "Train", `{spec: {image: a, workers: [{runtime: b}, {runtime: 7}]}}`,
			[]string{".spec.image=a", ".spec.workers[0].runtime=b", ".spec.workers[1].runtime="}},
		{"not declared", "ai.example", "Serve", `{spec: {image: a}}`, []string{"?.spec.image=a"}},
		{"declared in a kind of Kubernetes itself", "", "Catalog", `{data: {notebook: a, note: b}}`, []string{".data.notebook=a"}},
		{"chart", "helm.toolkit.fluxcd.io", "HelmRelease", `{spec: {chart: {spec: {chart: mlflow}}}}`, []string{"?="}},
		{"chart whose images are declared", "helm.cattle.io", "HelmChart", `{spec: {set: {image: a}, chart: mlflow}}`, []string{".spec.set.image=a"}},
		{"no image", "", "ConfigMap", `{data: {image: a, containers: b}}`, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := core.Object{ID: core.ObjectID{Group: tc.group, Kind: tc.kind, Name: "x"}}
			if err := yaml.Unmarshal([]byte(tc.fields), &o.Fields); err != nil {
				t.Fatal(err)
			}
			var got []string
			pins := map[string]string{}
			for _, u := range Find([]core.Object{o}, fields) {
				mark := ""
				if u.Guess {
					mark = "?"
				}
				got = append(got, mark+u.Path+"="+u.Image)
				pins[u.Image] = "pinned/" + u.Image
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			before := len(Find([]core.Object{o}, fields))
			for _, u := range Find([]core.Object{rewrite(o, fields, pins)}, fields) {
				if !u.Guess && u.Image[:7] != "pinned/" {
					t.Errorf("%s is %q, not rewritten", u.Path, u.Image)
				}
			}
			for _, u := range Find([]core.Object{o}, fields) {
				if _, ok := pins[u.Image]; !ok || before == 0 {
					t.Errorf("%s of the original is %q now", u.Path, u.Image)
				}
			}
		})
	}
}

func TestMatches(t *testing.T) {
	for _, tc := range []struct {
		pattern, repo string
		want          bool
	}{
		{"registry.lab.example/ml/*", "registry.lab.example/ml/app", true},
		{"registry.lab.example/ml/*", "registry.lab.example/ml/app/sub", false},
		{"registry.lab.example/ml/**", "registry.lab.example/ml/app/sub", true},
		{"registry.lab.example/ml/**", "registry.lab.example/ml", false},
		{"registry.lab.example/ml/**", "registry.lab.example/mlx/app", false},
		{"registry.lab.example/*/app", "registry.lab.example/ml/app", true},
		{"registry.lab.example/ml/app", "registry.lab.example.evil.example/ml/app", false},
		{"docker.io/library/*", "docker.io/library/nginx", true},
	} {
		if got := matches(tc.pattern, tc.repo); got != tc.want {
			t.Errorf("%s matches %s: %v, want %v", tc.pattern, tc.repo, got, tc.want)
		}
	}
}

func TestParse(t *testing.T) {
	const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for image, want := range map[string]string{
		"nginx": "docker.io/library/nginx", "lab/app:1": "docker.io/lab/app", "nginx:1" + digest: "docker.io/library/nginx",
		"registry.lab.example/ml/app:1": "registry.lab.example/ml/app", "localhost/app": "localhost/app",
	} {
		if _, got, err := parse(image); err != nil || got != want {
			t.Errorf("%s is of %s (%v), want %s", image, got, err, want)
		}
	}
}

// FuzzParse: an image that is pinned is still of the repository that its rule was
// found for, and a digest in it stays.
func FuzzParse(f *testing.F) {
	f.Add("nginx")
	f.Add("registry.lab.example:5000/ml/app:1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
	f.Fuzz(func(t *testing.T, image string) {
		ref, repo, err := parse(image)
		if err != nil {
			return
		}
		digest := "sha256:fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
		if d, ok := ref.(name.Digest); ok {
			digest = d.DigestStr()
		}
		pinned, again, err := parse(repo + "@" + digest)
		if err != nil || again != repo {
			t.Fatalf("%q is of %q; pinned it is of %q (%v)", image, repo, again, err)
		}
		if d, ok := pinned.(name.Digest); !ok || d.DigestStr() != digest || d.Context().RegistryStr() != ref.Context().RegistryStr() {
			t.Errorf("%q is pinned to %v", image, pinned)
		}
	})
}
