package trust

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"prumo.dev/prumo/internal/git"
)

// An attack is one way around the rules, as real objects in a world's repo. n is
// its row in the table of docs/trust.md, "What is refused".
type attack struct {
	n     int
	name  string
	build func(w *world) (from, to string)
	code  string
}

// TestRefusals tries every attack. What docs/trust.md says of each is what
// happens.
func TestRefusals(t *testing.T) {
	all := slices.Concat(signatureAttacks(t), objectAttacks(), historyAttacks(), policyAttacks(), approvalAttacks())
	tried := map[int][]string{}
	for _, a := range all {
		if !slices.Contains(tried[a.n], a.code) {
			tried[a.n] = append(tried[a.n], a.code)
			slices.Sort(tried[a.n])
		}
		t.Run(fmt.Sprintf("%d %s", a.n, a.name), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			from, to := a.build(w)
			if got := w.outcome(from, to); got != a.code {
				t.Errorf("got %q, want %s", got, a.code)
			}
		})
	}
	if diff := cmp.Diff(documented(t), tried); diff != "" {
		t.Errorf("codes by row of docs/trust.md (-documented +tried):\n%s", diff)
	}
}

// outcome fetches and judges as a daemon would; "" means obeyed.
func (w *world) outcome(from, to string) string {
	w.t.Helper()
	repo, err := git.Open(filepath.Join(w.t.TempDir(), "store"), git.Remote{URL: w.dir}, git.Limits{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, tip := range []string{from, to} {
		if tip == "" {
			continue
		}
		w.write("refs/heads/main", tip+"\n")
		_, err := repo.Fetch(w.t.Context(), "refs/heads/main")
		if bad, ok := errors.AsType[*git.BadObject](err); ok {
			return bad.Code
		} else if err != nil {
			w.t.Fatal(err)
		}
	}
	for ref, id := range w.tags {
		w.write(ref, id+"\n")
	}
	if err := repo.FetchTags(w.t.Context(), func(string) bool { return true }); err != nil {
		w.t.Fatal(err)
	}
	verdict, err := w.verifier().Verify(w.t.Context(), repo, from, to)
	if err != nil {
		w.t.Fatal(err)
	}
	if verdict.Refusal == nil {
		return ""
	}
	if r := *verdict.Refusal; r.Found == "" || r.Needed == "" || r.Remedy == "" || r.Commit == "" {
		w.t.Errorf("the refusal leaves something out: %+v", r)
	}
	return verdict.Refusal.Code
}

var (
	docRow  = regexp.MustCompile(`(?m)^\| (\d+) \| [^|]+ \| ([^|]+) \|$`)
	docCode = regexp.MustCompile("`(E-[A-Z-]+)`")
	docTest = regexp.MustCompile("`((?:internal|test)/[a-z]+)\\.(Test\\w+)`")
)

// documented reads the table "What is refused": codes that are tried here, a
// test elsewhere, or why there is no answer.
func documented(t *testing.T) map[int][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/trust.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[int][]string{}
	last := 0
	for _, m := range docRow.FindAllStringSubmatch(string(text), -1) {
		n, _ := strconv.Atoi(m[1])
		if n != last+1 {
			t.Errorf("row %d of docs/trust.md follows row %d", n, last)
		}
		last = n
		answered := strings.HasPrefix(m[2], "**not answered**")
		for _, test := range docTest.FindAllStringSubmatch(m[2], -1) {
			answered = true
			wantTest(t, n, test[1], test[2])
		}
		for _, code := range docCode.FindAllStringSubmatch(m[2], -1) {
			answered = true
			if !slices.Contains(out[n], code[1]) {
				out[n] = append(out[n], code[1])
				slices.Sort(out[n])
			}
		}
		if !answered {
			t.Errorf("row %d of docs/trust.md names no code and no test, and does not say that it is not answered", n)
		}
	}
	if last != 89 {
		t.Errorf("the table of docs/trust.md ends with row %d, not 89", last)
	}
	return out
}

// wantTest requires that a package has a test.
func wantTest(t *testing.T, row int, pkg, name string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(") {
			return
		}
	}
	t.Errorf("row %d of docs/trust.md names %s.%s, which does not exist", row, pkg, name)
}

// TestCodesAreDocumented holds the tables of doc.go and docs/trust.md to the
// codes that there are.
func TestCodesAreDocumented(t *testing.T) {
	source, err := os.ReadFile("refusal.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^\tCode\w+ += "(E-[A-Z-]+)"`).FindAllStringSubmatch(string(source), -1) {
		want = append(want, m[1])
	}
	slices.Sort(want)
	if len(want) < 16 {
		t.Fatalf("found %d codes", len(want))
	}
	objects := []string{git.CodeHash, git.CodeMode, git.CodeName, git.CodeSize, git.CodeSubmodule, git.CodeSymlink}
	slices.Sort(objects)
	for file, row := range map[string]string{
		"doc.go":              `(?m)^//\t(E-[A-Z-]+)  `,
		"../../docs/trust.md": "(?m)^\\| `(E-[A-Z-]+)` \\| ",
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range regexp.MustCompile(row).FindAllStringSubmatch(string(text), -1) {
			if !slices.Contains(objects, m[1]) {
				got = append(got, m[1])
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("codes of %s (-want +got):\n%s", file, diff)
		}
		for _, code := range objects {
			if !strings.Contains(string(text), code) {
				t.Errorf("%s says nothing of %s", file, code)
			}
		}
	}
}

// plain is an attack by one commit on the introduction.
func plain(n int, name, code string, c commit) attack {
	return attack{n, name, func(w *world) (string, string) {
		c := c
		c.on = []string{w.intro}
		if c.files == nil {
			c.files = w.files.with("nodes/a.yaml", "2\n")
		}
		return "", w.commit(c)
	}, code}
}

// replaced changes the object of a signed commit.
func replaced(n int, name, code, old, new string) attack {
	return plain(n, name, code, commit{by: "ana", raw: func(raw string) string { return strings.Replace(raw, old, new, 1) }})
}

// rearmed changes the signature of a commit.
func rearmed(n int, name, code string, f func(string) string) attack {
	return plain(n, name, code, commit{by: "ana", armor: f})
}

func signatureAttacks(t *testing.T) []attack {
	blob := func(armor string) []byte { return ssh.Marshal(unwire(t, armor)) }
	as := func(n int, name, code string, by signer) attack {
		return attack{n, name, func(w *world) (string, string) {
			*w = *newWorld(w.t, map[string]signer{"ana": by})
			return "", w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
		}, code}
	}
	r, err := rsa.GenerateKey(rand.Reader, minRSA)
	if err != nil {
		t.Fatal(err)
	}
	sha1RSA := sshSigner(t, r)
	sha1RSA.sign = func(payload []byte) string { return signSHA1(t, r, payload) }
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	forFiles := sshSigner(t, private)
	forFiles.sign = func(payload []byte) string { return armored(t, s, payload, sshsig.HashSHA512, "file") }
	ofATag := sshSigner(t, private)
	ofATag.sign = func([]byte) string {
		return armored(t, s, []byte("object "+strings.Repeat("a", 40)+"\ntype commit\ntag v1\ntagger A <a@lab.example> 1 +0000\n\nv1\n"), sshsig.HashSHA512, "git")
	}
	old := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	return []attack{
		plain(1, "unsigned", CodeUnsigned, commit{}),
		plain(2, "unknown key", CodeKeyUnknown, commit{by: "mallory"}),
		plain(3, "expired key", CodeKeyExpired, commit{by: "late"}),
		plain(4, "expired key, dates before", CodeKeyExpired, commit{by: "late", when: old}),
		plain(5, "key not valid yet", CodeKeyExpired, commit{by: "early"}),
		{6, "revoked key", func(w *world) (string, string) {
			w.revoke = `{ssh: ["` + fingerprint(w.people["ana"].public) + `"]}`
			return "", w.chain(w.intro, "ana", w.files)
		}, CodeKeyRevoked},
		as(7, "signed for files", CodeNamespace, forFiles),
		{8, "key that is for files", func(w *world) (string, string) {
			ana := w.people["ana"]
			ana.policy = ana.entry() + ", namespaces: [file]"
			*w = *newWorld(w.t, map[string]signer{"ana": ana})
			return "", w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
		}, CodeNamespace},
		as(10, "security key, not touched", CodeSignature, securityKey(t, 0)),
		as(11, "RSA with SHA-1", CodeWeak, sha1RSA),
		rearmed(11, "SHA-1 digest", CodeWeak, edit(t, func(w *wire) { w.Hash = "sha1" })),
		rearmed(12, "truncated", CodeFormat, func(a string) string {
			lines := strings.SplitAfter(a, "\n")
			return strings.Join(append(lines[:2:2], lines[3:]...), "")
		}),
		rearmed(12, "bit flipped", CodeSignature, edit(t, func(w *wire) {
			w.Signature = w.Signature[:len(w.Signature)-1] + string([]byte{w.Signature[len(w.Signature)-1] ^ 1})
		})),
		plain(13, "two gpgsig", CodeFormat, commit{by: "ana", raw: func(raw string) string {
			sig := raw[strings.Index(raw, "gpgsig") : strings.Index(raw, "\n\nchange")+1]
			return strings.Replace(raw, sig, sig+sig, 1)
		}}),
		rearmed(13, "two blocks", CodeFormat, func(a string) string { return a + a }),
		rearmed(14, "junk before", CodeFormat, func(a string) string { return "junk\n" + a }),
		rearmed(14, "junk after", CodeFormat, func(a string) string { return a + "junk\n" }),
		rearmed(14, "wrapped otherwise", CodeFormat, func(a string) string { return rearm(armorSSH, blob(a), 60) }),
		rearmed(14, "trailing bytes", CodeFormat, func(a string) string { return rearm(armorSSH, append(blob(a), 0), 70) }),
		rearmed(14, "trailing bytes inside", CodeFormat, edit(t, func(w *wire) { w.Signature += "\x00" })),
		replaced(15, "gpgsig-sha256", CodeFormat, "gpgsig ", "gpgsig-sha256 x\ngpgsig "),
		replaced(15, "gpgsigX", CodeFormat, "gpgsig ", "gpgsigX x\ngpgsig "),
		{16, "signature of another commit", func(w *world) (string, string) {
			var copied string
			w.commit(commit{on: []string{w.intro}, by: "ana", files: w.files, armor: func(a string) string { copied = a; return a }})
			return "", w.commit(commit{on: []string{w.intro}, files: w.files.with("nodes/a.yaml", "2\n"), sign: func([]byte) string { return copied }})
		}, CodeSignature},
		as(17, "signature of a tag", CodeSignature, ofATag),
	}
}

// rawTree writes a tree of "mode name" words that all hold one blob.
func (w *world) rawTree(entries ...string) string {
	blob, _ := hex.DecodeString(w.object("blob", []byte("x\n")))
	var b strings.Builder
	for _, e := range entries {
		b.WriteString(e + "\x00" + string(blob))
	}
	return w.object("tree", []byte(b.String()))
}

func objectAttacks() []attack {
	tree := func(n int, name, code string, entries ...string) attack {
		return attack{n, name, func(w *world) (string, string) {
			return "", w.commit(commit{on: []string{w.intro}, by: "ana", tree: w.rawTree(entries...)})
		}, code}
	}
	const committer = "committer A"
	return []attack{
		replaced(22, "second tree", CodeFormat, "parent ", "tree "+strings.Repeat("a", 40)+"\nparent "),
		replaced(22, "second author", CodeFormat, committer, "author B <b@lab.example> 1 +0000\n"+committer),
		{23, "parent after the signature", func(w *world) (string, string) {
			other := w.chain(w.intro, "ana", w.files)
			return "", w.commit(commit{on: []string{w.intro}, by: "ana", files: w.files, raw: func(raw string) string {
				return strings.Replace(raw, "\n\nchange", "\nparent "+other+"\n\nchange", 1)
			}})
		}, CodeFormat},
		plain(24, "NUL in the message", CodeFormat, commit{by: "ana", message: "good\x00evil\n"}),
		replaced(24, "NUL in a header", CodeFormat, committer, "committer A\x00"),
		replaced(25, "CR in a header", CodeFormat, " +0000\ngpgsig", " +0000\r\ngpgsig"),
		replaced(25, "CR alone on a line", CodeFormat, "gpgsig ", "\r\ngpgsig "),
		replaced(26, "no committer", CodeFormat, committer, "comitter A"),
		replaced(26, "a date that is none", CodeFormat, " +0000\ncommitter", " +9999\ncommitter"),
		plain(26, "date in the future", CodeDate, commit{by: "ana", when: noon.Add(6 * time.Minute)}),
		replaced(27, "another encoding", CodeFormat, "gpgsig ", "encoding latin1\ngpgsig "),
		plain(29, "oversize commit", git.CodeSize, commit{by: "ana", message: strings.Repeat("long\n", 1<<20/5+1)}),
		{29, "nine parents", func(w *world) (string, string) {
			var on []string
			for i := range 9 {
				on = append(on, w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", strconv.Itoa(i))))
			}
			return "", w.commit(commit{on: on, by: "ana", files: w.files})
		}, git.CodeSize},
		{29, "more commits than the limit", func(w *world) (string, string) {
			w.limit = 1
			return "", w.chain(w.intro, "ana", w.files, w.files)
		}, CodeLimit},
		tree(30, "unsorted", git.CodeFormat, "100644 b", "100644 a"),
		tree(30, "twice", git.CodeFormat, "100644 a", "100644 a"),
		tree(30, "slash", git.CodeName, "100644 a/b"),
		tree(30, "dot dot", git.CodeName, "100644 .."),
		tree(30, ".git", git.CodeName, "100644 .git"),
		tree(30, ".GIT", git.CodeName, "100644 .GIT"),
		tree(30, "git~1", git.CodeName, "100644 git~1"),
		tree(30, "ignorable letter", git.CodeName, "100644 .g\u200cit"),
		tree(31, "group writable", git.CodeMode, "100664 a"),
		tree(31, "padded mode", git.CodeMode, "0100644 a"),
		tree(32, "case", git.CodeName, "100644 A", "100644 a"),
		tree(32, "Unicode form", git.CodeName, "100644 e\u0301", "100644 \u00e9"),
		tree(33, "symbolic link", git.CodeSymlink, "120000 a"),
		tree(34, "submodule", git.CodeSubmodule, "160000 a"),
		{34, ".gitmodules", func(w *world) (string, string) {
			return "", w.chain(w.intro, "ana", w.files.with(".gitmodules", "x"))
		}, git.CodeSubmodule},
		{36, "executable policy", func(w *world) (string, string) {
			return "", w.chain(w.intro, "rita", w.files.with(PolicyPath, "", "100755 "+PolicyPath, w.policyText(2, rest(w.policy))))
		}, CodePolicy},
	}
}

func historyAttacks() []attack {
	changed := func(w *world, name string) files { return w.files.with(name, "2\n") }
	merge := func(n int, name, code, side, merger string, result func(w *world) files) attack {
		return attack{n, name, func(w *world) (string, string) {
			left := w.chain(w.intro, "ana", changed(w, "nodes/a.yaml"))
			right := w.chain(w.intro, side, changed(w, "datasets/d.yaml"))
			return "", w.commit(commit{on: []string{left, right}, by: merger, files: result(w)})
		}, code}
	}
	both := func(w *world) files { return w.files.with("nodes/a.yaml", "2\n", "datasets/d.yaml", "2\n") }
	onlyLeft := func(w *world) files { return changed(w, "nodes/a.yaml") }
	return []attack{
		{38, "unsigned in the middle", func(w *world) (string, string) {
			return "", w.chain(w.chain(w.intro, "", changed(w, "nodes/a.yaml")), "ana", w.files)
		}, CodeUnsigned},
		merge(39, "signed merge of an unsigned branch", CodeUnsigned, "", "ana", both),
		{40, "evil merge", func(w *world) (string, string) {
			left := w.chain(w.intro, "ana", changed(w, "nodes/a.yaml"))
			right := w.chain(w.intro, "ana", changed(w, "nodes/b.yaml"))
			return "", w.commit(commit{on: []string{left, right}, by: "ana", files: w.files.with("nodes/a.yaml", "2\n", "nodes/b.yaml", "2\n", "datasets/d.yaml", "evil\n")})
		}, CodePath},
		merge(41, "merge that undoes a file", CodePath, "cai", "ana", onlyLeft),
		{42, "rewritten", func(w *world) (string, string) {
			return w.chain(w.intro, "ana", changed(w, "nodes/a.yaml")), w.chain(w.intro, "ana", changed(w, "nodes/b.yaml"))
		}, CodeRewritten},
		{42, "unrelated history", func(w *world) (string, string) {
			return "", w.commit(commit{by: "ana", files: changed(w, "nodes/a.yaml")})
		}, CodeIntroduction},
		{42, "merge of another beginning", func(w *world) (string, string) {
			return "", w.commit(commit{on: []string{w.intro, w.commit(commit{by: "ana", files: w.files})}, by: "ana", files: w.files})
		}, CodeIntroduction},
		{43, "set back to an accepted commit", func(w *world) (string, string) {
			mid := w.chain(w.intro, "ana", changed(w, "nodes/a.yaml"))
			return w.chain(mid, "ana", changed(w, "nodes/b.yaml")), mid
		}, CodeRewritten},
		{43, "replay of a revert", func(w *world) (string, string) {
			var sig string
			one := w.chain(w.intro, "ana", changed(w, "nodes/a.yaml"))
			revert := w.commit(commit{on: []string{one}, by: "ana", files: w.files, armor: func(a string) string { sig = a; return a }})
			again := w.chain(revert, "ana", changed(w, "nodes/a.yaml"))
			return again, w.commit(commit{on: []string{again}, files: w.files, sign: func([]byte) string { return sig }})
		}, CodeSignature},
		{50, "a revoked payload, signed again by another", func(w *world) (string, string) {
			bad := w.chain(w.intro, "ana", changed(w, "README.md"))
			w.revoke = "{payloads: [" + w.payload(bad) + "]}"
			return "", w.chain(w.intro, "cai", changed(w, "README.md"))
		}, CodeKeyRevoked},
		{51, "on top of what was refused", func(w *world) (string, string) {
			refused := w.chain(w.intro, "", changed(w, "nodes/a.yaml"))
			return "", w.chain(refused, "ana", w.files, changed(w, "nodes/b.yaml"))
		}, CodeUnsigned},
	}
}

func policyAttacks() []attack {
	by := func(n int, name, code, who string, change func(f files) files) attack {
		return attack{n, name, func(w *world) (string, string) { return "", w.chain(w.intro, who, change(w.files)) }, code}
	}
	bad := func(n int, name string, text func(w *world) string) attack {
		return attack{n, name, func(w *world) (string, string) {
			return "", w.chain(w.intro, "rita", w.files.with(PolicyPath, text(w)))
		}, CodePolicy}
	}
	edit := func(old, new string) func(w *world) string {
		return func(w *world) string { return strings.Replace(w.policyText(2, rest(w.policy)), old, new, 1) }
	}
	const ownRule = "[datasets/**], signers: [cai"
	return []attack{
		by(52, "path of others", CodePath, "ana", func(f files) files { return f.with("datasets/d.yaml", "2\n") }),
		by(53, "renamed out", CodePath, "ana", func(f files) files { return f.with("datasets/d.yaml", "", "nodes/d.yaml", "d\n") }),
		by(53, "renamed into", CodePath, "ana", func(f files) files { return f.with("nodes/b.yaml", "", "datasets/b.yaml", "b\n") }),
		by(53, "deleted", CodePath, "ana", func(f files) files { return f.with("datasets/d.yaml", "") }),
		{54, "policy of one's own", func(w *world) (string, string) {
			return "", w.chain(w.intro, "ana", w.files.with(PolicyPath, edit(ownRule, ownRule+", ana")(w), "datasets/d.yaml", "2\n"))
		}, CodePolicyRoot},
		{54, "root lets itself in and uses it at once", func(w *world) (string, string) {
			text := strings.Replace(edit(ownRule, ownRule+", rita")(w), "principals:", "principals:\n  rita: {kind: human, keys: [{"+w.people["rita"].entry()+"}]}", 1)
			return "", w.chain(w.intro, "rita", w.files.with(PolicyPath, text, "datasets/d.yaml", "2\n"))
		}, CodeKeyUnknown},
		{55, "weaker policy of a side branch", func(w *world) (string, string) {
			wide := edit(ownRule, ownRule+", ana")(w)
			side := w.chain(w.intro, "rita", w.files.with(PolicyPath, wide))
			left := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
			return "", w.commit(commit{on: []string{left, side}, by: "ana", files: w.files.with("nodes/a.yaml", "2\n", PolicyPath, wide)})
		}, CodePolicyRoot},
		{56, "version back", func(w *world) (string, string) {
			return "", w.chain(w.intro, "rita", w.files.with(PolicyPath, w.policyText(2, rest(w.policy))), w.files)
		}, CodePolicyVersion},
		{56, "version skipped", func(w *world) (string, string) {
			return "", w.chain(w.intro, "rita", w.files.with(PolicyPath, w.policyText(3, rest(w.policy))))
		}, CodePolicyVersion},
		bad(58, "one key, two people", func(w *world) string {
			return strings.Replace(w.policyText(2, rest(w.policy)), w.people["cai"].public, w.people["ana"].public, 1)
		}),
		bad(62, "not readable", func(*world) string { return "{" }),
		bad(62, "empty", func(*world) string { return "\n" }),
		bad(62, "oversize", func(w *world) string {
			return w.policyText(2, rest(w.policy)) + strings.Repeat("# more\n", maxFile/7)
		}),
		bad(62, "key twice", edit("version: 2\n", "version: 2\nversion: 2\n")),
		bad(62, "alias", edit("groups: {platform: [ana, late, early]}", "groups: {platform: &a [ana], more: *a}")),
		bad(63, "glob with a class", edit("nodes/**", "'nodes/[a-z]'")),
		bad(63, "glob with a trailing slash", edit("nodes/**", "nodes/")),
		by(63, "other case", CodePath, "ana", func(f files) files {
			return f.with("nodes/a.yaml", "", "nodes/b.yaml", "", "Nodes/a.yaml", "a\n")
		}),
		by(63, "other Unicode form", CodePath, "ana", func(f files) files { return f.with("n\u00f3des/a.yaml", "a\n") }),
		by(64, "path without a rule", CodePath, "ana", func(f files) files { return f.with("tools/x.yaml", "x") }),
		{65, "another introduction", func(w *world) (string, string) {
			tip := w.commit(commit{on: []string{w.commit(commit{files: w.files, message: "not it\n"})}, by: "ana", files: w.files})
			return "", tip
		}, CodeIntroduction},
		{66, "removed key on an old base", func(w *world) (string, string) {
			v2 := w.policyText(2, strings.Replace(rest(w.policy), "ana, ", "", 1), "ana")
			accepted := w.chain(w.intro, "rita", w.files.with(PolicyPath, v2))
			old := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
			return accepted, w.commit(commit{on: []string{accepted, old}, by: "rita", files: w.files.with(PolicyPath, v2, "nodes/a.yaml", "2\n")})
		}, CodeKeyUnknown},
	}
}

func approvalAttacks() []attack {
	// teleport is a commit of another branch, with all approvals that it needs
	// there, that somebody puts on this one.
	teleport := func(dir string) func(w *world) (string, string) {
		return func(w *world) (string, string) {
			*w = *council(w.t)
			of := w.chain(w.intro, "ana", w.files.with(dir+"/x", "x"))
			w.approve(approval{by: "cai", of: of, body: func(body string) string {
				return strings.Replace(body, "heads/main", "heads/dev", 1)
			}})
			return "", of
		}
	}
	// in makes a change of a directory of the council's world, and approves it.
	in := func(n int, name, dir, by string, a approval) attack {
		return attack{n, name, func(w *world) (string, string) {
			*w = *council(w.t)
			a := a
			if a.of = w.chain(w.intro, by, w.files.with(dir+"/x", "x")); a.about == "another" {
				a.about = w.intro
			}
			w.approve(a)
			return "", a.of
		}, CodeThreshold}
	}
	bound := func(old, new string) func(string) string {
		return func(body string) string { return strings.Replace(body, old, new, 1) }
	}
	return []attack{
		{45, "two people stand behind it, elsewhere", teleport("two"), CodeThreshold},
		{45, "another person stands behind it, elsewhere", teleport("others"), CodeThreshold},
		{45, "meant for another branch", func(w *world) (string, string) {
			*w = *named(w.t)
			return w.intro, w.says(forDev, w.files.with("nodes/a.yaml", "2\n"), w.intro)
		}, CodeRef},
		{45, "merged into another branch", func(w *world) (string, string) {
			*w = *named(w.t)
			side := w.says(forDev, w.files.with("nodes/b.yaml", "2\n"), w.intro)
			main := w.says(forMain, w.files.with("nodes/a.yaml", "2\n"), w.intro)
			return main, w.says(forDev, w.files.with("nodes/a.yaml", "2\n", "nodes/b.yaml", "2\n"), side, main)
		}, CodeRef},
		in(46, "another tag of somebody, renamed", "two", "ana", approval{by: "cai", name: "v1.0"}),
		in(46, "a tag of a tree", "two", "ana", approval{by: "cai", typ: "tree"}),
		{46, "lightweight", func(w *world) (string, string) {
			*w = *council(w.t)
			c := w.chain(w.intro, "ana", w.files.with("two/x", "x"))
			w.tags = map[string]string{ApprovalRef(w.tree(w.files.with("two/x", "x")), "cai"): c}
			return "", c
		}, CodeThreshold},
		in(57, "a second key of the signer", "two", "ana", approval{by: "ana2", as: "ana"}),
		in(57, "a second key, under another's name", "two", "ana", approval{by: "ana2", as: "cai"}),
		in(59, "the signer approves", "others", "ana", approval{by: "ana2", as: "ana"}),
		in(60, "for another repo", "two", "ana", approval{by: "cai", body: bound("infra", "other")}),
		in(60, "for another branch", "two", "ana", approval{by: "cai", body: bound("heads/main", "heads/dev")}),
		in(60, "of another commit", "two", "ana", approval{by: "cai", about: "another"}),
		in(60, "by a bot", "humans", "ana", approval{by: "bot"}),
	}
}
