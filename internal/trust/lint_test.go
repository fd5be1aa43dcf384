package trust

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLintPolicyExpiry(t *testing.T) {
	ana, ben := newSigner(t), newSigner(t)
	text := fmt.Sprintf(`apiVersion: prumo.dev/v1alpha1
kind: TrustPolicy
version: 1
principals:
  ana:
    kind: human
    keys:
      - {ssh: '%s', notAfter: '2026-06-30T12:00:00Z'}
  ben:
    kind: human
    keys:
      - {ssh: '%s', notAfter: '2026-07-02T12:00:00Z'}
rules:
  - {name: all, paths: ['**'], signers: [ana, ben]}
`, ana.public, ben.public)
	var got []string
	for _, w := range LintPolicy("p", []byte(text), []string{"a"}, noon) {
		head, _, _ := strings.Cut(w.String(), ";")
		got = append(got, head)
	}
	col := strings.Index(strings.Split(text, "\n")[7], "'2026-06-30") + 1
	want := []string{fmt.Sprintf("p:8:%d: this key of ana expires in 29 days", col)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if got := LintPolicy("p", []byte("x"), nil, noon); got != nil {
		t.Errorf("a policy that does not parse has warnings: %v", got)
	}
}

// TestExplain asks for what judges a commit: the policies of all parents, and
// the accepted one where a parent's is older.
func TestExplain(t *testing.T) {
	w := newWorld(t)
	narrow := strings.Replace(w.policyText(2, rest(w.policy)), "signers: [platform]}\n  - {name: datasets", "signers: [ana]}\n  - {name: datasets", 1)
	next := w.chain(w.intro, "rita", w.files.with(PolicyPath, narrow))
	old := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
	h := w.history(next, old)
	explain := func(accepted, path string, parents ...string) string {
		t.Helper()
		e, refusal, err := w.verifier().Explain(t.Context(), h, accepted, path, parents...)
		if refusal != nil || err != nil {
			t.Fatal(refusal, err)
		}
		var b strings.Builder
		for _, r := range e.Requirements {
			fmt.Fprintf(&b, "%s:%s ", r.Rule, strings.Join(r.Signers, ","))
		}
		return b.String()
	}
	for _, tt := range []struct {
		name, got, want string
	}{
		{"one parent", explain("", "nodes/a.yaml", next), "machines:ana "},
		{"two parents", explain("", "nodes/a.yaml", next, w.intro), "machines:ana machines:ana,early,late "},
		{"an old base", explain(next, "nodes/a.yaml", old), "machines:ana,early,late machines:ana "},
		{"two rules", explain("", "docs/secret/x", w.intro), "pages:ana,cai,early,late secretdocs:cai "},
		{"an exception", explain("", "docs/secret/open.md", w.intro), "pages:ana,cai,early,late "},
		{"nobody", explain("", "x", w.intro), ""},
		{"the policy, once", explain("", ".Prumo/x", next, w.intro), "root:rita "},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}
