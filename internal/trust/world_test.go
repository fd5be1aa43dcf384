package trust

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// noon is when every test commit is first seen.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// A signer signs what a commit says and returns the armored signature.
type signer struct {
	public string // line of a .pub file
	policy string // YAML fields of a key that is no SSH key
	sign   func(payload []byte) string
}

// entry is the signer's key in a policy.
func (s signer) entry() string { return cmp.Or(s.policy, "ssh: '"+s.public+"'") }

func sshSigner(t testing.TB, private crypto.Signer) signer {
	t.Helper()
	s, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer{
		public: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.PublicKey()))),
		sign:   func(payload []byte) string { return armored(t, s, payload, sshsig.HashSHA512, "git") },
	}
}

func armored(t testing.TB, s ssh.Signer, payload []byte, hash sshsig.HashAlgorithm, ns string) string {
	t.Helper()
	sig, err := sshsig.Sign(bytes.NewReader(payload), s, hash, ns)
	if err != nil {
		t.Fatal(err)
	}
	return string(sshsig.Armor(sig))
}

func newSigner(t testing.TB) signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return sshSigner(t, private)
}

func rsaKey(t testing.TB, bits int) string {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return sshSigner(t, private).public
}

// A world is a bare repository whose objects the test writes itself, byte by
// byte, and the people who sign in it.
type world struct {
	t      testing.TB
	dir    string
	people map[string]signer
	policy string // text of the first policy
	files  files  // of the introduction
	intro  string
	tip    string            // what history serves
	revoke string            // YAML under revoked:
	roots  string            // YAML under root:
	repo   string            // YAML under repo:
	tags   map[string]string // ref -> object
	limit  int
	extra  string // YAML of other parts of the trust file
}

// files maps paths to contents. A path may be given a mode as "100755 path".
type files map[string]string

// with returns a copy with some paths set, or removed where the content is "".
func (f files) with(pairs ...string) files {
	out := maps.Clone(f)
	for i := 0; i < len(pairs); i += 2 {
		if out[pairs[i]] = pairs[i+1]; pairs[i+1] == "" {
			delete(out, pairs[i])
		}
	}
	return out
}

// newWorld makes the repository and its introduction. people replaces the
// ed25519 keys that everyone has.
func newWorld(t testing.TB, people ...map[string]signer) *world {
	t.Helper()
	w := &world{t: t, dir: filepath.Join(t.TempDir(), "origin.git"), people: map[string]signer{}}
	for _, name := range []string{"rita", "ana", "cai", "bot", "mallory", "late", "early"} {
		w.people[name] = newSigner(t)
	}
	for _, p := range people {
		maps.Copy(w.people, p)
	}
	w.write("HEAD", "ref: refs/heads/main\n")
	w.write("config", "[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
	for _, d := range []string{"objects", "refs/heads"} {
		if err := os.MkdirAll(filepath.Join(w.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w.policy = w.policyText(1, `
groups: {platform: [ana, late, early]}
rules:
  - {name: machines, paths: [nodes/**, pools/**], signers: [platform]}
  - {name: datasets, paths: [datasets/**], signers: [cai]}
  - {name: pages, paths: [README.md, docs/**], signers: [platform, cai]}
  - {name: secretdocs, paths: [docs/secret/**], except: [docs/secret/open.md], signers: [cai]}
  - {name: bumps, paths: [images.yaml], ops: [modify], signers: [bot]}
`)
	w.files = files{
		PolicyPath: w.policy, ".prumo/README.md": "policy\n", "README.md": "lab\n", "nodes/a.yaml": "a\n",
		"nodes/b.yaml": "b\n", "datasets/d.yaml": "d\n", "images.yaml": "1\n", "docs/secret/open.md": "o\n",
	}
	w.intro = w.commit(commit{files: w.files})
	return w
}

// policyText is a policy with the world's people; late and early have keys that
// are no longer and not yet valid.
func (w *world) policyText(version int, rest string, without ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: prumo.dev/v1alpha1\nkind: TrustPolicy\nversion: %d\nprincipals:\n", version)
	validity := map[string]string{"late": ", notAfter: '2026-06-01T00:00:00Z'", "early": ", notBefore: '2026-06-02T00:00:00Z'"}
	for _, name := range []string{"ana", "cai", "bot", "late", "early"} {
		if !slices.Contains(without, name) {
			fmt.Fprintf(&b, "  %s: {kind: human, keys: [{%s%s}]}\n", name, w.people[name].entry(), validity[name])
		}
	}
	return b.String() + rest
}

func (w *world) write(name, content string) {
	w.t.Helper()
	path := filepath.Join(w.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// object writes a loose object and returns its id.
func (w *world) object(kind string, body []byte) string {
	w.t.Helper()
	raw := append(fmt.Appendf(nil, "%s %d\x00", kind, len(body)), body...)
	id := fmt.Sprintf("%x", sha1.Sum(raw))
	var z bytes.Buffer
	zw := zlib.NewWriter(&z)
	zw.Write(raw)
	zw.Close()
	w.write("objects/"+id[:2]+"/"+id[2:], z.String())
	return id
}

// tree writes the tree of files and returns its id.
func (w *world) tree(f files) string {
	type item struct{ mode, name, id string }
	items := map[string]item{}
	dirs := map[string]files{}
	for path, content := range f {
		mode := "100644"
		if m, p, ok := strings.Cut(path, " "); ok {
			mode, path = m, p
		}
		if dir, rest, ok := strings.Cut(path, "/"); ok {
			if dirs[dir] == nil {
				dirs[dir] = files{}
			}
			dirs[dir][strings.TrimPrefix(mode+" "+rest, "100644 ")] = content
			continue
		}
		items[path] = item{mode, path, w.object("blob", []byte(content))}
	}
	for name, sub := range dirs {
		items[name+"/"] = item{"40000", name, w.tree(sub)} // sorts as git sorts directories
	}
	var b bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(items)) {
		i := items[key]
		id, _ := hex.DecodeString(i.id)
		fmt.Fprintf(&b, "%s %s\x00%s", i.mode, i.name, id)
	}
	return w.object("tree", b.Bytes())
}

// A commit says what to write. Fields left out get a plain value.
type commit struct {
	on      []string // parents
	by      string   // who signs it; nobody if empty
	files   files
	tree    string // id of a tree to use instead of files
	when    time.Time
	message string
	armor   func(armor string) string // changes the signature
	raw     func(raw string) string   // changes the object
	sign    func(payload []byte) string
}

func (w *world) commit(c commit) string {
	w.t.Helper()
	var head strings.Builder
	fmt.Fprintf(&head, "tree %s\n", cmp.Or(c.tree, w.tree(c.files)))
	for _, p := range c.on {
		fmt.Fprintf(&head, "parent %s\n", p)
	}
	when := c.when
	if when.IsZero() {
		when = noon.Add(-time.Hour)
	}
	fmt.Fprintf(&head, "author A <a@lab.example> %d +0000\ncommitter A <a@lab.example> %d +0000\n", when.Unix(), when.Unix())
	body := "\n" + cmp.Or(c.message, "change\n")
	sign := c.sign
	if sign == nil && c.by != "" {
		sign = w.people[c.by].sign
	}
	gpgsig := ""
	if sign != nil {
		armor := sign([]byte(head.String() + body))
		if c.armor != nil {
			armor = c.armor(armor)
		}
		gpgsig = "gpgsig " + strings.ReplaceAll(strings.TrimSuffix(armor, "\n"), "\n", "\n ") + "\n"
	}
	raw := head.String() + gpgsig + body
	if c.raw != nil {
		raw = c.raw(raw)
	}
	w.tip = w.object("commit", []byte(raw))
	return w.tip
}

func (w *world) anchor() *Anchor {
	w.t.Helper()
	roots := cmp.Or(w.roots, "{threshold: 1, principals: {rita: {keys: [{ssh: '"+w.people["rita"].public+"'}]}}}")
	text := fmt.Sprintf("apiVersion: prumo.dev/v1alpha1\nkind: TrustAnchor\nintroduction: %s\nroot: %s\n", w.intro, roots)
	if w.repo != "" {
		text += "repo: " + w.repo + "\n"
	}
	if w.revoke != "" {
		text += "revoked: " + w.revoke + "\n"
	}
	text += w.extra
	if w.limit > 0 {
		text += fmt.Sprintf("limits: {commits: %d}\n", w.limit)
	}
	a, problems := ParseAnchor("trust.yaml", []byte(text))
	if len(problems) > 0 {
		w.t.Fatal(problems)
	}
	return a
}

// history fetches what the tips need from the world as a daemon would.
func (w *world) history(tips ...string) *git.Repo {
	w.t.Helper()
	repo, err := git.Open(filepath.Join(w.t.TempDir(), "store"), git.Remote{URL: w.dir}, git.Limits{})
	if err != nil {
		w.t.Fatal(err)
	}
	for i, tip := range tips {
		ref := fmt.Sprintf("refs/heads/tip%d", i)
		w.write(ref, tip+"\n")
		if _, err := repo.Fetch(w.t.Context(), ref); err != nil {
			w.t.Fatal(err)
		}
	}
	for ref, id := range w.tags {
		w.write(ref, id+"\n")
	}
	if err := repo.FetchTags(w.t.Context(), func(string) bool { return true }); err != nil {
		w.t.Fatal(err)
	}
	return repo
}

func (w *world) verifier() *Verifier {
	v := NewVerifier(w.anchor())
	v.now = func() time.Time { return noon }
	return v
}

// verify judges what to adds to from, as fetched from the world.
func (w *world) verify(from, to string) core.Verdict {
	w.t.Helper()
	tips := []string{to}
	if from != "" {
		tips = []string{from, to}
	}
	verdict, err := w.verifier().Verify(context.Background(), w.history(tips...), from, to)
	if err != nil {
		w.t.Fatal(err)
	}
	return verdict
}
