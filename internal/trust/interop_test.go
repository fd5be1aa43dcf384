package trust

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// TestRealTools verifies what git, ssh-keygen and gpg make.
func TestRealTools(t *testing.T) {
	for _, tool := range []string{"git", "ssh-keygen"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	g := newGPG(t)
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GNUPGHOME="+g.home, "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@lab.example", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@lab.example")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	people, sign := realKeys(t, g, dir, run)
	write(PolicyPath, header+"principals:\n"+people+"rules:\n  - {name: all, paths: ['**'], signers: [ssh-ed25519, ssh-ecdsa, ssh-rsa, ssh-cert, gpg]}\n  - {name: three, paths: [three.txt], signers: [ssh-ed25519, ssh-ecdsa, gpg], threshold: 3}\n")
	run("git", "init", "-q", "-b", "main")
	run("git", "add", ".prumo")
	run("git", "commit", "-q", "-m", "begin")
	intro := run("git", "rev-parse", "HEAD")
	for name, config := range sign {
		write(name+".txt", name)
		run("git", "add", name+".txt")
		run(append(append([]string{"git"}, config...), "commit", "-q", "-S", "-m", name)...)
	}
	root, err := os.ReadFile(filepath.Join(dir, "ed25519.pub"))
	if err != nil {
		t.Fatal(err)
	}
	anchor, problems := ParseAnchor("trust.yaml", fmt.Appendf(nil, "apiVersion: prumo.dev/v1alpha1\nkind: TrustAnchor\nintroduction: %s\nrepo: {id: 'https://git.example/infra', ref: refs/heads/main}\nroot: {threshold: 1, principals: {r: {keys: [{ssh: %q}]}}}\n",
		intro, strings.TrimSpace(string(root))))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	repo, err := git.Open(filepath.Join(t.TempDir(), "store"), git.Remote{URL: dir}, git.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	verdict := verifyMain(t, repo, anchor)
	checkVerdict(t, verdict, "", "")
	for _, c := range verdict.Commits[1:] {
		parsed, err := repo.Commit(c.Commit)
		if err != nil {
			t.Fatal(err)
		}
		// As the README of the example says.
		hash := run("sh", "-c", "git cat-file commit "+c.Commit+" | sed '/^gpgsig /,/^ -----END/d' | sha256sum")
		if want := fmt.Sprintf("%x  -", sum(parsed.Payload)); hash != want {
			t.Errorf("payload of %s: the shell says %s, want %s", c.Subject, hash, want)
		}
		if c.Signer != c.Subject {
			t.Errorf("the commit of %s counts as one of %q", c.Subject, c.Signer)
		}
	}
	if got, want := len(verdict.Commits), len(sign)+1; got != want {
		t.Errorf("got %d commits, want %d", got, want)
	}

	write("three.txt", "3")
	run("git", "add", "three.txt")
	run(append(append([]string{"git"}, sign["ssh-ed25519"]...), "commit", "-q", "-S", "-m", "three")...)
	approve := func(command string) {
		for _, name := range []string{"ssh-ecdsa", "gpg"} {
			config := "git " + strings.Join(sign[name], " ") + " tag"
			run("sh", "-c", strings.NewReplacer("YOU", name, "git tag", config, "git push ORIGIN", "true").Replace(command))
		}
	}
	realApprovals(t, NewVerifier(anchor), repo, verdict.To, approve)
}

// realApprovals makes approvals by the command that the refusal prints.
func realApprovals(t *testing.T, v *Verifier, repo *git.Repo, from string, approve func(command string)) {
	t.Helper()
	tip, err := repo.Fetch(t.Context(), "refs/heads/main")
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := v.Verify(t.Context(), repo, from, tip)
	if err != nil {
		t.Fatal(err)
	}
	checkVerdict(t, verdict, CodeThreshold, "three.txt")
	_, command, _ := strings.Cut(verdict.Refusal.Remedy, "approve the commit: ")
	approve(command)
	match, err := v.MissingApprovals(t.Context(), repo, verdict)
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.FetchTags(t.Context(), match); err != nil {
		t.Fatal(err)
	}
	if verdict, err = v.Verify(t.Context(), repo, from, tip); err != nil {
		t.Fatal(err)
	}
	checkVerdict(t, verdict, "", "")
	if got := fmt.Sprint(verdict.Commits[0].Approvers); got != "[gpg ssh-ecdsa]" {
		t.Errorf("approved by %s, want [gpg ssh-ecdsa]", got)
	}
}

// realKeys makes keys with the real tools. It returns the principals of a policy
// and, by principal, the options that make git sign as them.
func realKeys(t *testing.T, g *gpg, dir string, run func(...string) string) (people string, sign map[string][]string) {
	t.Helper()
	sign = map[string][]string{}
	for _, algo := range []string{"ed25519", "ecdsa", "rsa"} {
		args := []string{"ssh-keygen", "-q", "-t", algo, "-N", "", "-f", filepath.Join(dir, algo)}
		if algo == "rsa" {
			args = append(args, "-b", "3072")
		}
		run(args...)
		public, err := os.ReadFile(filepath.Join(dir, algo+".pub"))
		if err != nil {
			t.Fatal(err)
		}
		people += fmt.Sprintf("  ssh-%s: {kind: human, keys: [{ssh: %q}]}\n", algo, strings.TrimSpace(string(public)))
		sign["ssh-"+algo] = []string{"-c", "gpg.format=ssh", "-c", "user.signingkey=" + filepath.Join(dir, algo+".pub")}
	}
	for _, name := range []string{"ca", "certified"} {
		run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name))
	}
	run("ssh-keygen", "-q", "-s", filepath.Join(dir, "ca"), "-I", "carol's laptop", "-n", "carol@lab.example", "-z", "3", "-V", "-1h:+1h", filepath.Join(dir, "certified.pub"))
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pub"))
	if err != nil {
		t.Fatal(err)
	}
	people += fmt.Sprintf("  ssh-cert: {kind: human, keys: [{sshCA: {key: %q, principal: carol@lab.example}}]}\n", strings.TrimSpace(string(ca)))
	sign["ssh-cert"] = []string{"-c", "gpg.format=ssh", "-c", "user.signingkey=" + filepath.Join(dir, "certified-cert.pub")}
	fpr := g.key("ed25519", "sign", "0")
	people += fmt.Sprintf("  gpg: {kind: human, keys: [{%s}]}\n", g.signer(fpr, time.Now()).policy)
	sign["gpg"] = []string{"-c", "gpg.format=openpgp", "-c", "user.signingkey=" + fpr}
	return people, sign
}

// verifyMain fetches main and judges all of it.
func verifyMain(t *testing.T, repo *git.Repo, anchor *Anchor) core.Verdict {
	t.Helper()
	tip, err := repo.Fetch(t.Context(), "refs/heads/main")
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := NewVerifier(anchor).Verify(t.Context(), repo, "", tip)
	if err != nil {
		t.Fatal(err)
	}
	return verdict
}
