// Package differential proves that no history passes here that git itself would
// not pass: on generated and then damaged repositories, "ok" from us means that
// git verify-commit with the same key finds every commit good, and git fsck
// --strict finds nothing. Where an approval counted, git verify-tag finds it good.
package differential

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"prumo.dev/prumo/test/gitrepo"
)

var (
	seed = flag.Uint64("seed", 0, "generate the histories of this seed; 0: another one each time")
	long = flag.Duration("time", 12*time.Second, "how long to go on")
)

func TestNeverOkWhereGitIsNot(t *testing.T) {
	for _, tool := range []string{"git", "ssh-keygen"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs the installed %s: %v", tool, err)
		}
	}
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", *seed)
	accepted, refused, certs, merges, tags := 0, 0, 0, 0, 0
	end := time.Now().Add(*long)
	for i := uint64(0); time.Now().Before(end); i++ {
		c := newCase(t, rand.New(rand.NewPCG(*seed, i)))
		why := c.judge()
		if why != "" {
			refused++
			continue
		}
		accepted++
		certs, merges, tags = certs+count(c.did, "a certificate"), merges+count(c.did, "merged by"), tags+count(c.did, "approved by")
		if out := c.git(); out != "" {
			t.Fatalf("seed %d, history %d (%s): ok here, but git says:\n%s", *seed, i, c.did, out)
		}
	}
	t.Logf("%d histories accepted, by git too (%d with certificates, %d with merges, %d with approvals); %d refused", accepted, certs, merges, tags, refused)
	if accepted < 3 || refused < 3 {
		t.Errorf("%d accepted and %d refused histories prove little", accepted, refused)
	}
}

func count(did, what string) int { return min(1, strings.Count(did, what)) }

// A history is one repository, generated and perhaps damaged.
type history struct {
	t          *testing.T
	r          *rand.Rand
	repo       *gitrepo.Repo
	key, other *gitrepo.Key
	ben        *gitrepo.Key // approves
	authority  ssh.Signer   // of certificates for ana
	intro, tip string
	tag        string // ref of the approval of the tip; empty if there is none
	did        string // how it was damaged
}

func newCase(t *testing.T, r *rand.Rand) *history {
	t.Helper()
	c := &history{t: t, r: r, did: "nothing"}
	var err error
	if c.repo, err = gitrepo.New(filepath.Join(t.TempDir(), "origin.git")); err != nil {
		t.Fatal(err)
	}
	c.key, c.other, c.ben, c.authority = c.newKey("ana"), c.newKey("mallory"), c.newKey("ben"), newSSH(t)
	c.write(".prumo/policy.yaml", string(c.policy()))
	c.write("nodes/a.yaml", "a\n")
	c.intro = c.commit(gitrepo.Options{Message: "begin"})
	c.tip = c.intro
	for range 1 + r.IntN(3) {
		switch r.IntN(6) {
		case 0:
			next := c.change(c.tip)
			c.tip = c.commit(gitrepo.Options{Key: c.key, Parents: []string{next, c.tip}, Message: "merge"})
		case 1:
			c.tip = c.side()
		default:
			c.tip = c.change(c.tip)
		}
	}
	switch r.IntN(8) {
	case 0, 1:
	case 2, 3:
		c.approved()
	default:
		c.damage()
	}
	if err := c.repo.SetRef("refs/heads/main", c.tip); err != nil {
		t.Fatal(err)
	}
	return c
}

// change is one good commit on top of another, signed by ana's key or under a
// certificate that may have a flaw.
func (c *history) change(on string) string {
	c.write(fmt.Sprintf("nodes/%c.yaml", 'a'+rune(c.r.IntN(5))), fmt.Sprint(c.r.Uint64()))
	key := gitrepo.Signer(c.key)
	if c.r.IntN(4) == 0 {
		cert := newCertified(c.t, c.r, c.authority)
		key, c.did = cert, c.did+"; a certificate "+cert.flaw
	}
	return c.commit(gitrepo.Options{Key: key, Parents: []string{on}, Message: words(c.r)})
}

func (c *history) newKey(name string) *gitrepo.Key {
	key, err := gitrepo.NewKey(name)
	if err != nil {
		c.t.Fatal(err)
	}
	return key
}

func (c *history) write(name, data string) {
	if err := c.repo.Write(name, []byte(data)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *history) commit(o gitrepo.Options) string {
	o.When = time.Now().Add(-time.Minute)
	id, err := c.repo.Commit(o)
	if err != nil {
		c.t.Fatal(err)
	}
	return id
}

func (c *history) raw(typ string, data []byte) string {
	id, err := c.repo.WriteRaw(typ, data)
	if err != nil {
		c.t.Fatal(err)
	}
	return id
}

// words is a message, often an odd one.
func words(r *rand.Rand) string {
	return pick(r, "change", "größer", "two\n\nparagraphs", "tree "+strings.Repeat("0", 40), "gpgsig x\n y", "cr\r\nlf", "tab\there", "-----BEGIN SSH SIGNATURE-----")
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// damage adds one commit in which something is wrong, or only odd.
func (c *history) damage() {
	blob := c.raw("blob", []byte("x\n"))
	policy := c.raw("blob", c.policy())
	tree := c.raw("tree", slices.Concat(gitrepo.TreeEntry("40000", ".prumo", c.raw("tree", gitrepo.TreeEntry("100644", "policy.yaml", policy))), c.entries(blob)))
	now := time.Now().Unix() - 30
	payload := fmt.Sprintf("tree %s\nparent %s\nauthor A <a@lab.example> %d +0000\ncommitter A <a@lab.example> %d +0000\n\n%s\n", tree, c.tip, now, now, words(c.r))
	before := c.r.IntN(3) == 0 // the signature covers the damage
	if before {
		payload = string(c.spoil([]byte(payload)))
	}
	key, namespace := c.key, "git"
	switch c.r.IntN(8) {
	case 0:
		key = c.other
	case 1:
		namespace = "file"
	}
	armor, err := key.SignAs(namespace, []byte(payload))
	if err != nil {
		c.t.Fatal(err)
	}
	raw := gitrepo.WithSignature([]byte(payload), armor)
	if !before && c.r.IntN(2) == 0 {
		raw = c.spoil(raw)
	}
	c.did += fmt.Sprintf("; signed by %s for %s, after damage: %v", map[bool]string{true: "ana", false: "mallory"}[key == c.key], namespace, before)
	c.tip = c.raw("commit", raw)
}

func (c *history) policy() []byte {
	return fmt.Appendf(nil, "apiVersion: prumo.dev/v1alpha1\nkind: TrustPolicy\nversion: 1\nprincipals:\n"+
		"  ana: {kind: human, keys: [{ssh: %q}, {sshCA: {key: %q, principal: ana}}]}\n"+
		"  ben: {kind: human, keys: [{ssh: %q}]}\n"+
		"rules:\n  - {name: all, paths: [\"**\"], signers: [ana]}\n"+
		"  - {name: two, paths: [\"two/**\"], signers: [ana, ben], threshold: 2}\n", c.key.Public(), line(c.authority), c.ben.Public())
}

// entries are up to three entries of a tree that sort after .prumo, or should.
func (c *history) entries(blob string) []byte {
	var out []byte
	for range c.r.IntN(4) {
		mode := pick(c.r, "100644", "100644", "100644", "100755", "100664", "0100644", "120000", "160000", "40000")
		name := pick(c.r, "a", "b", "c", "A", "a.yaml", "zz", "x/y", "..", ".git", ".GIT", "git~1", ".g\u200cit", ".gitmodules", ".gitattributes", "e\u0301", "\u00e9", "a\\b", "con", "")
		c.did += fmt.Sprintf("; entry %s %q", mode, name)
		id := blob
		if name == ".gitmodules" {
			id = c.raw("blob", []byte("[submodule \"x\"]\n\tpath = x\n\turl = -u./evil\n")) // CVE-2018-17456
		}
		out = append(out, gitrepo.TreeEntry(mode, name, id)...)
	}
	return out
}

// spoil changes one thing in a commit.
func (c *history) spoil(raw []byte) []byte {
	raw = slices.Clone(raw)
	at := c.r.IntN(len(raw))
	lines := bytes.SplitAfter(raw, []byte("\n"))
	line := c.r.IntN(len(lines))
	what := pick(c.r, "flip", "cut", "insert", "duplicate", "delete", "swap", "header")
	c.did += fmt.Sprintf("; %s at %d, line %d", what, at, line)
	switch what {
	case "flip":
		raw[at] ^= 1 << c.r.IntN(8)
	case "cut":
		return raw[:at]
	case "insert":
		return slices.Insert(raw, at, pick(c.r, byte(0), '\r', '\n', ' ', 'x', 0xff))
	case "duplicate":
		return bytes.Join(slices.Insert(lines, line, lines[line]), nil)
	case "delete":
		return bytes.Join(slices.Delete(lines, line, line+1), nil)
	case "swap":
		other := c.r.IntN(len(lines))
		lines[line], lines[other] = lines[other], lines[line]
		return bytes.Join(lines, nil)
	case "header":
		h := pick(c.r, "gpgsigX x\n", "gpgsig-sha256 x\n", "encoding latin1\n", "encoding UTF-8\n", "mergetag x\n", "HG:extra x\n", "tree "+strings.Repeat("1", 40)+"\n")
		return bytes.Join(slices.Insert(lines, line, []byte(h)), nil)
	}
	return raw
}
