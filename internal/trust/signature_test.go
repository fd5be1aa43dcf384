package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// wire is an SSH signature as it is spelled (PROTOCOL.sshsig), every field free.
type wire struct {
	Magic     [6]byte
	Version   uint32
	PublicKey string
	Namespace string
	Reserved  string
	Hash      string
	Signature string
}

func unwire(t *testing.T, armor string) wire {
	t.Helper()
	_, blob, err := unarmor(armor)
	if err != nil {
		t.Fatal(err)
	}
	var w wire
	if err := ssh.Unmarshal(blob, &w); err != nil {
		t.Fatal(err)
	}
	return w
}

// rearm wraps a blob at a width.
func rearm(kind string, blob []byte, width int) string {
	text, b := base64.StdEncoding.EncodeToString(blob), strings.Builder{}
	b.WriteString("-----BEGIN " + kind + "-----\n")
	for len(text) > 0 {
		n := min(width, len(text))
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	b.WriteString("-----END " + kind + "-----\n")
	return b.String()
}

// edit changes one field of an SSH signature.
func edit(t *testing.T, f func(*wire)) func(string) string {
	return func(armor string) string {
		w := unwire(t, armor)
		f(&w)
		return rearm(armorSSH, ssh.Marshal(w), 70)
	}
}

// TestForgedSSH changes the armor of an otherwise good signature.
func TestForgedSSH(t *testing.T) {
	blob := func(armor string) []byte { return ssh.Marshal(unwire(t, armor)) }
	for _, tt := range []struct {
		name  string
		armor func(string) string
		code  string
	}{
		{"as it was", func(a string) string { return a }, ""},
		{"wrapped as ssh-keygen does", func(a string) string { return rearm(armorSSH, blob(a), 70) }, ""},
		{"wrapped otherwise", func(a string) string { return rearm(armorSSH, blob(a), 60) }, CodeFormat},
		{"in one line", func(a string) string { return rearm(armorSSH, blob(a), 1000) }, CodeFormat},
		{"truncated", func(a string) string {
			lines := strings.SplitAfter(a, "\n")
			return strings.Join(append(lines[:2:2], lines[3:]...), "")
		}, CodeFormat},
		{"without its end", func(a string) string { return strings.Replace(a, "-----END SSH SIGNATURE-----\n", "", 1) }, CodeFormat},
		{"junk before", func(a string) string { return "junk\n" + a }, CodeFormat},
		{"junk after", func(a string) string { return a + "junk\n" }, CodeFormat},
		{"empty line after", func(a string) string { return a + "\n" }, CodeFormat},
		{"two blocks", func(a string) string { return a + a }, CodeFormat},
		{"space in the base64", func(a string) string { return strings.Replace(a, "\nU1", "\n U1", 1) }, CodeFormat},
		{"another type", func(a string) string { return strings.ReplaceAll(a, "SSH SIGNATURE", "SSH MESSAGE") }, CodeFormat},
		{"keyless", func(a string) string { return strings.ReplaceAll(a, "SSH SIGNATURE", "SIGNED MESSAGE") }, CodeFormat},
		{"declared as OpenPGP", func(a string) string {
			return strings.Replace(strings.ReplaceAll(a, "SSH SIG", "PGP SIG"), "\n", "\n\n", 1)
		}, CodeFormat},
		{"oversized", func(a string) string { return strings.Replace(a, "\n", "\n"+strings.Repeat("A", maxArmor), 1) }, CodeFormat},
		{"trailing bytes", func(a string) string { return rearm(armorSSH, append(blob(a), 0), 70) }, CodeFormat},
		{"trailing bytes in the inner signature", edit(t, func(w *wire) { w.Signature += "\x00" }), CodeFormat},
		{"reserved field in use", edit(t, func(w *wire) { w.Reserved = "x" }), CodeFormat},
		{"version 2", edit(t, func(w *wire) { w.Version = 2 }), CodeFormat},
		{"magic", edit(t, func(w *wire) { w.Magic[0] = 'X' }), CodeFormat},
		{"namespace changed", edit(t, func(w *wire) { w.Namespace = "file" }), CodeNamespace},
		{"hash changed", edit(t, func(w *wire) { w.Hash = "sha256" }), CodeSignature},
		{"weak hash", edit(t, func(w *wire) { w.Hash = "sha1" }), CodeWeak},
		{"bit flipped", edit(t, func(w *wire) {
			last := len(w.Signature) - 1
			w.Signature = w.Signature[:last] + string([]byte{w.Signature[last] ^ 1})
		}), CodeSignature},
		{"key of another", edit(t, func(w *wire) { w.PublicKey = unwire(t, newSigner(t).sign(nil)).PublicKey }), CodeKeyUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tip := w.commit(commit{on: []string{w.intro}, by: "ana", files: w.files, armor: tt.armor})
			checkVerdict(t, w.verify("", tip), tt.code, "")
		})
	}
}

// TestForgedCommit changes what a good signature stands on.
func TestForgedCommit(t *testing.T) {
	insert := func(before, text string) func(string) string {
		return func(raw string) string { return strings.Replace(raw, before, text+before, 1) }
	}
	for _, tt := range []struct {
		name string
		raw  func(string) string
		code string
	}{
		{"message changed", func(raw string) string { return strings.Replace(raw, "change", "chance", 1) }, CodeSignature},
		{"author changed", func(raw string) string { return strings.Replace(raw, "author A", "author B", 1) }, CodeSignature},
		{"second gpgsig", func(raw string) string {
			sig := raw[strings.Index(raw, "gpgsig") : strings.Index(raw, "\n\nchange")+1]
			return strings.Replace(raw, sig, sig+sig, 1)
		}, CodeFormat},
		{"gpgsig-sha256", insert("gpgsig ", "gpgsig-sha256 x\n"), CodeFormat},
		{"header that git strips too", insert("gpgsig ", "gpgsigX junk\n"), CodeFormat},
		{"second tree", insert("parent ", "tree "+strings.Repeat("a", 40)+"\n"), CodeFormat},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tip := w.commit(commit{on: []string{w.intro}, by: "ana", files: w.files, raw: tt.raw})
			verdict := w.verify("", tip)
			checkVerdict(t, verdict, tt.code, "")
		})
	}
	t.Run("signature of another commit", func(t *testing.T) {
		w := newWorld(t)
		var copied string
		w.commit(commit{on: []string{w.intro}, by: "ana", files: w.files, armor: func(a string) string { copied = a; return a }})
		tip := w.commit(commit{on: []string{w.intro}, files: w.files.with("nodes/a.yaml", "2\n"), sign: func([]byte) string { return copied }})
		checkVerdict(t, w.verify("", tip), CodeSignature, "")
	})
	t.Run("signed for another purpose", func(t *testing.T) {
		_, private, _ := ed25519.GenerateKey(rand.Reader)
		s, err := ssh.NewSignerFromSigner(private)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, map[string]signer{"ana": sshSigner(t, private)})
		tip := w.commit(commit{on: []string{w.intro}, files: w.files, sign: func(p []byte) string {
			return armored(t, s, p, sshsig.HashSHA512, "file")
		}})
		checkVerdict(t, w.verify("", tip), CodeNamespace, "")
	})
}

// TestSSHKeys signs with each accepted type of key, and with what is too weak.
func TestSSHKeys(t *testing.T) {
	r, err := rsa.GenerateKey(rand.Reader, minRSA)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	oldRSA := sshSigner(t, r)
	oldRSA.sign = func(payload []byte) string { return signSHA1(t, r, payload) }
	for _, tt := range []struct {
		name string
		by   signer
		code string
	}{
		{"ecdsa", sshSigner(t, e), ""},
		{"rsa", sshSigner(t, r), ""},
		{"rsa with SHA-1", oldRSA, CodeWeak},
		{"security key", securityKey(t, 1), ""},
		{"security key without touch", securityKey(t, 0), CodeSignature},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, map[string]signer{"ana": tt.by})
			checkVerdict(t, w.verify("", w.chain(w.intro, "ana", w.files)), tt.code, "")
		})
	}
}

// toSign is what an SSH signature is made over.
func toSign(payload []byte) []byte {
	sum := sha512.Sum512(payload)
	return append([]byte("SSHSIG"), ssh.Marshal(struct{ Namespace, Reserved, Hash, Sum string }{"git", "", "sha512", string(sum[:])})...)
}

func spell(key ssh.PublicKey, sig []byte) string {
	return rearm(armorSSH, ssh.Marshal(wire{
		Magic: [6]byte([]byte("SSHSIG")), Version: 1, PublicKey: string(key.Marshal()),
		Namespace: "git", Hash: "sha512", Signature: string(sig),
	}), 70)
}

func signSHA1(t *testing.T, private *rsa.PrivateKey, payload []byte) string {
	s, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.(ssh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, toSign(payload), ssh.KeyAlgoRSA)
	if err != nil {
		t.Fatal(err)
	}
	return spell(s.PublicKey(), ssh.Marshal(sig))
}

// securityKey is a FIDO key in software (PROTOCOL.u2f); flags 1 means touched.
func securityKey(t *testing.T, flags byte) signer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const application = "ssh:"
	key, err := ssh.ParsePublicKey(ssh.Marshal(struct{ Type, Key, App string }{ssh.KeyAlgoSKED25519, string(public), application}))
	if err != nil {
		t.Fatal(err)
	}
	return signer{
		public: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))),
		sign: func(payload []byte) string {
			app, msg := sha256.Sum256([]byte(application)), sha256.Sum256(toSign(payload))
			tail := []byte{flags, 0, 0, 0, 7} // and a counter
			signed := bytes.Join([][]byte{app[:], tail, msg[:]}, nil)
			return spell(key, ssh.Marshal(ssh.Signature{Format: ssh.KeyAlgoSKED25519, Blob: ed25519.Sign(private, signed), Rest: tail}))
		},
	}
}

// TestUnarmorRefuses has what no signature inside would reveal.
func TestUnarmorRefuses(t *testing.T) {
	pgp := func(head, body string) string {
		return "-----BEGIN PGP SIGNATURE-----\n" + head + "\n" + body + "\n-----END PGP SIGNATURE-----\n"
	}
	if _, _, err := unarmor(pgp("Comment: x\n", "iQ==")); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{
		"carriage return":     pgp("", "iQ==\r"),
		"padding bits":        pgp("", "iR=="),
		"many headers":        pgp(strings.Repeat("Comment: x\n", 5), "iQ=="),
		"header of bytes":     pgp("Comment: \x1b\n", "iQ=="),
		"empty":               pgp("", ""),
		"checksum alone":      pgp("", "=AAAA"),
		"another end":         strings.Replace(pgp("", "iQ=="), "END PGP SIG", "END SSH SIG", 1),
		"too long":            rearm(armorSSH, make([]byte, maxArmor), 70),
		"short line in front": rearm(armorSSH, make([]byte, 20), 8),
		"another first line":  strings.Replace(rearm(armorSSH, make([]byte, 20), 70), "-----BEGIN SSH SIGNATURE-----", "SSH SIGNATURE", 1),
		"another type":        rearm("PGP MESSAGE", make([]byte, 20), 64),
		"nothing":             "",
	} {
		if _, blob, err := unarmor(s); err == nil {
			t.Errorf("%s: accepted as %x", name, blob)
		}
	}
}

// TestPGPWithoutFingerprint has a signature that names its key by 64 bits alone.
func TestPGPWithoutFingerprint(t *testing.T) {
	body := "\x04\x00\x16\x08" + "\x00\x06\x05\x02\x69\x00\x00\x00" + // v4, binary, EdDSA, SHA-256; made 2025
		"\x00\x0a\x09\x10\x01\x02\x03\x04\x05\x06\x07\x08" + "\x00\x00" + "\x00\x01\x01\x00\x01\x01"
	_, refusal := parsePGPProof([]byte("\xc2" + string(rune(len(body))) + body))
	if refusal == nil || refusal.Code != CodeFormat || !strings.Contains(refusal.Found, "full fingerprint") {
		t.Errorf("got %v, want %s for want of a full fingerprint", refusal, CodeFormat)
	}
}

func FuzzUnarmor(f *testing.F) {
	f.Add(rearm(armorSSH, []byte("some bytes that are longer than one line of armor, to have two of them"), 70))
	f.Add("-----BEGIN PGP SIGNATURE-----\n\niQ==\n" + checksum([]byte{0x89}) + "\n-----END PGP SIGNATURE-----\n")
	f.Fuzz(func(t *testing.T, s string) {
		kind, blob, err := unarmor(s)
		if err != nil {
			return
		}
		// Accepted means that it is one of the spellings that tools write.
		body := s[strings.LastIndex(s, "\n\n")+1:]
		for _, width := range armorWidths[kind] {
			again := rearm(kind, blob, width)
			if s == again || s+"\n" == again {
				return
			}
			again = strings.TrimPrefix(again, "-----BEGIN PGP SIGNATURE-----")
			withSum := strings.Replace(again, "\n-----END", "\n"+checksum(blob)+"\n-----END", 1)
			if kind == armorPGP && (strings.TrimSuffix(body, "\n") == strings.TrimSuffix(again, "\n") || strings.TrimSuffix(body, "\n") == strings.TrimSuffix(withSum, "\n")) {
				return
			}
		}
		t.Fatalf("accepted but spelled otherwise than any tool does: %q", s)
	})
}
