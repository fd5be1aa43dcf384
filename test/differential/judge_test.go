package differential

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/internal/trust"
)

func (c *history) anchor() *trust.Anchor {
	anchor, problems := trust.ParseAnchor("trust.yaml", fmt.Appendf(nil, "apiVersion: prumo.dev/v1alpha1\nkind: TrustAnchor\nintroduction: %s\n"+
		"repo: {id: infra, ref: refs/heads/main}\nroot: {threshold: 1, principals: {ana: {keys: [{ssh: %q}]}}}\n", c.intro, c.key.Public()))
	if anchor == nil {
		c.t.Fatal(problems)
	}
	return anchor
}

// approvalOf is where ben's approval of a commit lies, and what it must say.
func approvalOf(a *trust.Anchor, commit *git.Commit) (ref, body string) {
	return trust.ApprovalRef(commit.Tree, "ben"), a.ApprovalBody(commit)
}

// store has fetched the branch as far as it is written.
func (c *history) store() *git.Repo {
	if err := c.repo.SetRef("refs/heads/main", c.tip); err != nil {
		c.t.Fatal(err)
	}
	repo, err := git.Open(filepath.Join(c.t.TempDir(), "store"), git.Remote{URL: c.repo.Dir()}, git.Limits{})
	if err == nil {
		_, err = repo.Fetch(context.Background(), "refs/heads/main")
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return repo
}

// judge says why we refuse the history; "" if we do not.
func (c *history) judge() string {
	ctx := context.Background()
	repo, err := git.Open(filepath.Join(c.t.TempDir(), "store"), git.Remote{URL: c.repo.Dir()}, git.Limits{})
	if err != nil {
		c.t.Fatal(err)
	}
	tip, err := repo.Fetch(ctx, "refs/heads/main")
	if err == nil && c.tag != "" {
		err = repo.FetchTags(ctx, func(ref string) bool { return ref == c.tag })
	}
	if err != nil {
		return err.Error()
	}
	verdict, err := trust.NewVerifier(c.anchor()).Verify(ctx, repo, "", tip)
	if err != nil {
		return err.Error()
	}
	if verdict.Refusal != nil {
		return verdict.Refusal.String()
	}
	// Content counts too: a revision is obeyed by reading its tree.
	if _, err := repo.Tree(core.Revision{Commit: tip}); err != nil {
		return err.Error()
	}
	return ""
}

// git says what git has against the history; "" if nothing.
func (c *history) git() string {
	dir := c.t.TempDir()
	allowed := filepath.Join(dir, "allowed")
	if err := os.WriteFile(allowed, []byte("ana namespaces=\"git\" "+c.key.Public()+"\n"+
		"ana cert-authority,namespaces=\"git\" "+line(c.authority)+"\nben namespaces=\"git\" "+c.ben.Public()+"\n"), 0o600); err != nil {
		c.t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		cmd := exec.Command("git", append([]string{"-C", c.repo.Dir(), "-c", "gpg.ssh.allowedSignersFile=" + allowed}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_NO_REPLACE_OBJECTS=1", "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := run("rev-list", c.intro+".."+c.tip)
	if err != nil {
		return "rev-list: " + out
	}
	if out, err := run(append([]string{"verify-commit"}, strings.Fields(out)...)...); err != nil {
		return "verify-commit: " + out
	}
	if c.tag != "" {
		if out, err := run("verify-tag", strings.TrimPrefix(c.tag, "refs/tags/")); err != nil {
			return "verify-tag: " + out
		}
	}
	if out, err := run("fsck", "--strict", "--no-dangling"); err != nil {
		return "fsck: " + out
	}
	return ""
}
