package report

import "testing"

func TestCommand(t *testing.T) {
	for want, args := range map[string][]string{
		"reconciler approve --config /etc/prumo/config.yaml": {"reconciler", "approve", "--config", "/etc/prumo/config.yaml"},
		`apply '' 'my lab' '$(rm -rf x)' 'it'\''s' 'a;b'`:    {"apply", "", "my lab", "$(rm -rf x)", "it's", "a;b"},
	} {
		if got := Command(args...); got != want {
			t.Errorf("%q: got %s, want %s", args, got, want)
		}
	}
}
