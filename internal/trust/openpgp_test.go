package trust

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A gpg is a key ring of the real gpg.
type gpg struct {
	t    testing.TB
	home string
}

func newGPG(t testing.TB) *gpg {
	t.Helper()
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("gpg is not installed")
	}
	home, err := os.MkdirTemp("", "gpg") // short: sockets in it have at most 107 bytes of path
	if err != nil {
		t.Fatal(err)
	}
	g := &gpg{t, home}
	t.Cleanup(func() {
		kill := exec.Command("gpgconf", "--kill", "all")
		kill.Env = append(os.Environ(), "GNUPGHOME="+home)
		_ = kill.Run() // there may be no agent
		os.RemoveAll(home)
	})
	return g
}

func (g *gpg) run(at time.Time, stdin string, args ...string) string {
	g.t.Helper()
	args = append([]string{"--batch", "--yes", "--quiet", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", "",
		"--faked-system-time", at.UTC().Format("20060102T150405")}, args...)
	cmd := exec.Command("gpg", args...)
	cmd.Env = append(os.Environ(), "GNUPGHOME="+g.home)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		g.t.Fatalf("gpg %v: %v\n%s", args, err, errs.String())
	}
	return out.String()
}

var fprLine = regexp.MustCompile(`(?m)^fpr:+([0-9A-F]{40}):$`)

// born is when the keys of the tests are made, grown when they are used: gpg's
// clock goes on while it runs, and begins anew with each run.
var (
	born  = noon.AddDate(0, -3, 0)
	grown = born.Add(time.Hour)
)

// key makes a key and returns its fingerprint.
func (g *gpg) key(algo, usage, expire string) string {
	g.t.Helper()
	name := fmt.Sprintf("%s-%s-%s <ana@lab.example>", algo, usage, expire)
	g.run(born, "", "--quick-gen-key", name, algo, usage, expire)
	return fprLine.FindStringSubmatch(g.run(born, "", "--with-colons", "--list-keys", name))[1]
}

// signer signs with a key at a time. More arguments go to gpg.
func (g *gpg) signer(fpr string, at time.Time, args ...string) signer {
	g.t.Helper()
	return signer{
		policy: fmt.Sprintf("openpgp: {fingerprint: %s, publicKey: %q}", fpr, g.run(born, "", "--armor", "--export", fpr)),
		sign: func(payload []byte) string {
			return g.run(at, string(payload), append(args, "--local-user", fpr, "--armor", "--detach-sign")...)
		},
	}
}

func TestOpenPGP(t *testing.T) {
	g := newGPG(t)
	before := noon.Add(-time.Hour)
	plain := g.key("ed25519", "sign", "0")
	cert := g.key("ed25519", "cert", "0")
	g.run(grown, "", "--quick-add-key", cert, "ed25519", "sign", "0")
	subkey := fprLine.FindAllStringSubmatch(g.run(born, "", "--with-colons", "--with-subkey-fingerprint", "--list-keys", cert), -1)[1][1]
	short := g.key("ed25519", "sign", "30d")
	shortSub := g.key("ed25519", "cert", "never")
	g.run(grown, "", "--quick-add-key", shortSub, "ed25519", "sign", "30d")
	revoked := g.key("nistp256", "sign", "0")
	thief := newGPG(t) // has the key, and has not heard of the revocation
	thief.run(grown, g.run(born, "", "--export-secret-keys", "--armor", revoked), "--import")
	revokedSigner := thief.signer(revoked, before)
	g.revoke(revoked)
	revokedSigner.policy = g.signer(revoked, before).policy

	keep := func(a string) string { return a }
	twice := func(a string) string {
		_, blob, err := unarmor(a)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Replace(rearm(armorPGP, append(blob, blob...), 64), "\n", "\n\n", 1)
	}
	for _, tt := range []struct {
		name   string
		by     signer
		armor  func(string) string
		revoke string
		code   string
	}{
		{"ed25519", g.signer(plain, before), keep, "", ""},
		{"subkey", g.signer(cert, before), keep, "", ""},
		{"rsa", g.signer(g.key("rsa3072", "sign", "0"), before), keep, "", ""},
		{"armor with comment", g.signer(plain, before, "--comment", "hello"), keep, "", ""},
		{"four minutes ahead", g.signer(plain, noon.Add(4*time.Minute)), keep, "", ""},
		{"six minutes ahead", g.signer(plain, noon.Add(6*time.Minute)), keep, "", CodeDate},
		{"weak rsa", g.signer(g.key("rsa2048", "sign", "0"), before), keep, "", CodeWeak},
		{"SHA-1", g.signer(plain, before, "--digest-algo", "SHA1"), keep, "", CodeWeak},
		{"expired key", g.signer(short, born.AddDate(0, 0, 1)), keep, "", CodeKeyExpired},
		{"expired subkey", g.signer(shortSub, born.AddDate(0, 0, 1)), keep, "", CodeKeyExpired},
		{"expired signature", g.signer(plain, before, "--default-sig-expire", "seconds=60"), keep, "", CodeKeyExpired},
		{"key revoked by its owner", revokedSigner, keep, "", CodeKeyRevoked},
		{"key revoked in the trust file", g.signer(plain, before), keep, `{openpgp: ["` + plain + `"]}`, CodeKeyRevoked},
		{"primary key revoked in the trust file", g.signer(cert, before), keep, `{openpgp: ["` + cert + `"]}`, CodeKeyRevoked},
		{"subkey revoked in the trust file", g.signer(cert, before), keep, `{openpgp: ["` + subkey + `"]}`, CodeKeyRevoked},
		{"text signature", g.signer(plain, before, "--textmode"), keep, "", CodeFormat},
		{"two packets", g.signer(plain, before), twice, "", CodeFormat},
		{"two blocks", g.signer(plain, before), func(a string) string { return a + a }, "", CodeFormat},
		{"junk in the armor's headers", g.signer(plain, before), func(a string) string { return strings.Replace(a, "\n\n", "\nJunk: x\n\n", 1) }, "", CodeFormat},
		{"no empty line", g.signer(plain, before), func(a string) string { return strings.Replace(a, "\n\n", "\n", 1) }, "", CodeFormat},
		{"wrong checksum", g.signer(plain, before), func(a string) string { return regexp.MustCompile(`\n=....\n`).ReplaceAllString(a, "\n=AAAA\n") }, "", CodeFormat},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, map[string]signer{"ana": tt.by})
			w.revoke = tt.revoke
			tip := w.commit(commit{on: []string{w.intro}, by: "ana", files: w.files.with("nodes/a.yaml", "2\n"), armor: tt.armor})
			checkVerdict(t, w.verify("", tip), tt.code, "")
		})
	}
	t.Run("unknown key", func(t *testing.T) {
		w := newWorld(t)
		tip := w.commit(commit{on: []string{w.intro}, files: w.files, sign: g.signer(plain, before).sign})
		checkVerdict(t, w.verify("", tip), CodeKeyUnknown, "")
	})
	t.Run("message changed", func(t *testing.T) {
		w := newWorld(t, map[string]signer{"ana": g.signer(plain, before)})
		tip := w.commit(commit{on: []string{w.intro}, by: "ana", files: w.files, raw: func(raw string) string {
			return strings.Replace(raw, "change", "chance", 1)
		}})
		checkVerdict(t, w.verify("", tip), CodeSignature, "")
	})
	t.Run("policy", func(t *testing.T) { testOpenPGPPolicy(t, g, plain, cert) })
}

// revoke imports the revocation that gpg made with the key.
func (g *gpg) revoke(fpr string) {
	g.t.Helper()
	data, err := os.ReadFile(filepath.Join(g.home, "openpgp-revocs.d", fpr+".rev"))
	if err != nil {
		g.t.Fatal(err)
	}
	text := strings.Replace(string(data), ":-----BEGIN", "-----BEGIN", 1) // gpg's safety catch
	g.run(grown, text[strings.Index(text, "-----BEGIN"):], "--import")
}

func testOpenPGPPolicy(t *testing.T, g *gpg, plain, cert string) {
	secret := g.run(born, "", "--armor", "--export-secret-keys", plain)
	both := g.run(born, "", "--armor", "--export", plain, cert)
	public := g.run(born, "", "--armor", "--export", plain)
	entry := func(fpr, text string) string {
		return fmt.Sprintf("principals:\n  ana: {kind: human, keys: [{openpgp: {fingerprint: %q, publicKey: %q}}]}\n", fpr, text)
	}
	for _, tt := range []struct{ name, data, want string }{
		{"good", entry(plain, public), ""},
		{"fingerprint in groups", entry(plain[:20]+" "+strings.ToLower(plain[20:]), public), ""},
		{"key id", entry(plain[24:], public), "a fingerprint has all 40 digits"},
		{"another fingerprint", entry(cert, public), "but publicKey is " + plain},
		{"private key", entry(plain, strings.ReplaceAll(secret, "PRIVATE KEY BLOCK", "PUBLIC KEY BLOCK")), "holds a private key"},
		{"private key block", entry(plain, secret), "publicKey must be the block"},
		{"two keys", entry(plain, both), "holds 2 keys"},
		{"no armor", entry(plain, "x"), "publicKey must be the block"},
		{"listed twice", strings.Replace(entry(plain, public), "}}]}", fmt.Sprintf("}}, {openpgp: {fingerprint: %s, publicKey: %q}}]}", plain, public), 1), "listed twice"},
	} {
		_, problems := ParsePolicy("p.yaml", []byte(header+tt.data+aRules))
		if got := fmt.Sprint(problems); (tt.want == "") != (len(problems) == 0) || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %s, want %q", tt.name, got, tt.want)
		}
	}
}
