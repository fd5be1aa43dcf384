package config

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestImages(t *testing.T) {
	c, problems := load(t, valid+`images:
  sigstoreRoot: root.json
  registries:
    - {host: registry.lab.example, username: robot, passwordFile: p, caFile: ca.pem}
    - {host: "mirror.lab.example:5000", dockerConfigFile: /run/config.json}
`)
	if problems != nil {
		t.Fatal(problems)
	}
	for _, name := range []string{c.Images.SigstoreRoot, c.Images.Registries[0].PasswordFile, c.Images.Registries[0].CAFile, c.Images.Registries[1].DockerConfigFile} {
		if !filepath.IsAbs(name) {
			t.Errorf("%s is relative", name)
		}
	}
	for text, want := range map[string]string{
		"{host: 'https://r.example'}":                                          "want a host",
		"{host: r.example}, {host: r.example}":                                 "written twice",
		"{host: r.example, username: a}":                                       "go together",
		"{host: r.example, passwordFile: a}":                                   "go together",
		"{host: r.example, username: a, passwordFile: b, dockerConfigFile: c}": "want one of them",
		"{host: r.example, password: a}":                                       `unknown key "password"`,
	} {
		if _, problems := load(t, valid+"images: {registries: ["+text+"]}\n"); len(problems) == 0 || !strings.Contains(problems[0], want) {
			t.Errorf("%s: got %v, want %q", text, problems, want)
		}
	}
}
