package forge_test

import (
	"testing"

	"prumo.dev/prumo/test/forge"
	"prumo.dev/prumo/test/forge/contract"
)

func TestServer(t *testing.T) {
	for flavour, pageSize := range map[forge.Flavour]int{forge.GitHub: 100, forge.Gitea: 50} {
		t.Run(string(flavour), func(t *testing.T) {
			contract.Check(t, func(t *testing.T) contract.Fixture {
				s := forge.NewServer(flavour)
				t.Cleanup(s.Close)
				return contract.Fixture{
					URL: s.URL(), Repo: forge.Repo, Bot: s.Token("prumo"), Other: s.Token("mallory"), PageSize: pageSize,
					OpenPull: func(_ *testing.T, p forge.Pull) forge.Pull { return s.Pull(s.AddPull(p)) },
				}
			})
		})
	}
}
