package trust

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

const imageKey = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"

// imagesOf is a policy with a section images; %K stands for a key.
func imagesOf(section string) string {
	return header + aPeople + aRules + strings.ReplaceAll(section, "%K", `"`+strings.ReplaceAll(imageKey, "\n", `\n`)+`"`)
}

func TestImages(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0", 64)
	tree := fstest.MapFS{PolicyPath: {Data: []byte(imagesOf(`images:
  rules:
    - match: registry.lab.example:5000/ml/**
      allOf:
        - {key: %K, tlog: false}
        - {key: %K}
        - keyless: {issuer: "https://accounts.lab.example", subject: ana@lab.example}
      attestations: ["https://slsa.dev/provenance/v1"]
    - {match: docker.io/library/*, digests: ["` + digest + `"]}
  fields:
    - {kind: RayCluster.ray.io, paths: ["spec.workers[*].image"]}
`))}}
	got, problems, err := Images(tree)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	want := &core.ImagePolicy{
		Rules: []core.ImageRule{
			{Pos: core.Pos{File: PolicyPath, Line: 10, Col: 7}, Match: "registry.lab.example:5000/ml/**", AllOf: []core.ImageSigner{
				{Key: imageKey, NoTlog: true}, {Key: imageKey},
				{Issuer: "https://accounts.lab.example", Subject: "ana@lab.example"},
			}, Attestations: []string{"https://slsa.dev/provenance/v1"}},
			{Pos: core.Pos{File: PolicyPath, Line: 16, Col: 7}, Match: "docker.io/library/*", Digests: []string{digest}},
		},
		Fields: []core.ImageField{{Kind: "RayCluster.ray.io", Paths: []string{"spec.workers[*].image"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for name, tree := range map[string]fstest.MapFS{"no policy": {}, "no images": {PolicyPath: {Data: []byte(imagesOf(""))}}} {
		if got, problems, err := Images(tree); got != nil || problems != nil || err != nil {
			t.Errorf("%s: got %v, %v, %v", name, got, problems, err)
		}
	}
	if _, problems, _ := Images(fstest.MapFS{PolicyPath: {Data: []byte("a: b\n")}}); len(problems) == 0 {
		t.Error("a broken policy has no problem")
	}
}

func TestImagesProblems(t *testing.T) {
	rule := func(rest string) string { return "images: {rules: [{match: r.example/a, " + rest + "}]}\n" }
	for _, tt := range []struct{ name, section, want string }{
		{"empty", "images: {rules: []}\n", "8:17: rules of images is empty"},
		{"no rules", "images: {}\n", `images needs "rules"`},
		{"a list", "images: []\n", "images must be a mapping"},
		{"unknown key", rule("allof: []"), `unknown key "allof"`},
		{"no demand", "images: {rules: [{match: r.example/a}]}\n", "either allOf"},
		{"two demands", rule(`allOf: [{key: %K}], digests: ["sha256:0"]`), "either allOf"},
		{"nobody", rule("allOf: []"), "allOf is empty"},
		{"no digest", rule("digests: []"), "digests is empty"},
		{"short digest", rule(`digests: ["sha256:00"]`), "64 hexadecimal digits"},
		{"wild host", "images: {rules: [{match: '*.example/a', digests: []}]}\n", "registry and a repository in full"},
		{"no host", "images: {rules: [{match: 'nginx', digests: []}]}\n", "registry and a repository in full"},
		{"stars inside", "images: {rules: [{match: 'r.example/**/a', digests: []}]}\n", "registry and a repository in full"},
		{"key and identity", rule("allOf: [{key: %K, keyless: {issuer: a, subject: b}}]"), "either key"},
		{"neither", rule("allOf: [{tlog: false}]"), "either key"},
		{"no key", rule("allOf: [{key: none}]"), "one public key in PEM"},
		{"two keys", rule(`allOf: [{key: "` + strings.ReplaceAll(imageKey+imageKey, "\n", `\n`) + `"}]`), "one public key in PEM"},
		{"private key", rule(`allOf: [{key: "` + strings.ReplaceAll(strings.ReplaceAll(imageKey, "PUBLIC", "PRIVATE"), "\n", `\n`) + `"}]`), "one public key in PEM"},
		{"log as text", rule("allOf: [{key: %K, tlog: 'false'}]"), "true or false"},
		{"identity without a log", rule("allOf: [{tlog: false, keyless: {issuer: a, subject: b}}]"), "always needs its entry"},
		{"anybody", rule("allOf: [{keyless: {issuer: a, subject: ''}}]"), "it would match everybody"},
		{"any issuer", rule("allOf: [{keyless: {subject: b}}]"), `keyless needs "issuer"`},
		{"patterns", rule("allOf: [{keyless: {issuer: a, subjectRegExp: b}}]"), `unknown key "subjectRegExp"`},
		{"attested digest", rule(`digests: ["sha256:00"], attestations: ["https://slsa.dev/provenance/v1"]`), "attestations need allOf"},
		{"a word for a predicate", rule("allOf: [{key: %K}], attestations: [slsa]"), "a predicate type"},
		{"no kind", "images: {rules: [], fields: [{paths: [a]}]}\n", `image field needs "kind"`},
		{"bad kind", "images: {rules: [], fields: [{kind: ray, paths: [a]}]}\n", "must be Kind or Kind.group"},
		{"bad path", "images: {rules: [], fields: [{kind: Ray, paths: ['.a[0]']}]}\n", "field names joined by dots"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, problems := ParsePolicy("policy.yaml", []byte(imagesOf(tt.section)))
			var all strings.Builder
			for _, problem := range problems {
				all.WriteString(problem.String() + "\n")
			}
			if p != nil || !strings.Contains(all.String(), tt.want) {
				t.Errorf("got %s, want %q", all.String(), tt.want)
			}
		})
	}
}
