package forge

import "testing"

func TestServer(t *testing.T) {
	for flavour, pageSize := range map[Flavour]int{GitHub: 100, Gitea: 50} {
		t.Run(string(flavour), func(t *testing.T) {
			Contract(t, func(t *testing.T) Fixture {
				s := NewServer(flavour)
				t.Cleanup(s.Close)
				return Fixture{
					URL: s.URL(), Repo: Repo, Bot: s.Token("prumo"), Other: s.Token("mallory"), PageSize: pageSize,
					OpenPull: func(_ *testing.T, p Pull) Pull { return s.Pull(s.AddPull(p)) },
				}
			})
		})
	}
}
