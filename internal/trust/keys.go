package trust

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/ssh"
)

// minRSA is the least length of an RSA key, in bits (NIST SP 800-57: 128 bits of
// security from 3072 on).
const minRSA = 3072

// A key is one public key of a principal, with the time in which the policy
// accepts it.
type key struct {
	owner     string        // principal
	name      string        // for people: SHA256:… of an SSH key, or the primary fingerprint of an OpenPGP key
	ssh       ssh.PublicKey // of the principal, or of an authority that vouches for them
	openpgp   []byte        // binary certificate; read anew for each check, see openpgp.go
	keyless   identity      // in place of a key
	ids       []string      // what a signature may name it by: see sshID, caID, pgpID and identity
	purposes  []string      // SSH namespaces that it is for; nil: not limited
	notBefore time.Time
	notAfter  time.Time
}

// A keyring finds keys by what a signature names: never by a short key id.
type keyring map[string]*key

// sshID is a keyring index: the key itself, in wire format.
func sshID(k ssh.PublicKey) string { return "ssh:" + string(k.Marshal()) }

// pgpID is a keyring index: the full fingerprint of a primary key or subkey, in
// upper-case hexadecimal.
func pgpID(fingerprint []byte) string { return fmt.Sprintf("openpgp:%X", fingerprint) }

// principals reads names with their keys. Each key may be there once only: a
// key of two people would be neither's, and one person would count as two.
func (d *decoder) principals(n *yaml.Node, what string, known ...string) (map[string]*yaml.Node, keyring) {
	people, ring := map[string]*yaml.Node{}, keyring{}
	for _, e := range d.entries(n, what) {
		name := e.key.Value
		if !validName(name) {
			d.fail(e.key, "the name %q of a principal must be a word of lower-case letters, digits, - . and _", name)
		}
		f := d.fields(e.value, "principal "+name, append([]string{"keys!"}, known...)...)
		people[name] = e.value
		if f["keys"] == nil {
			continue
		}
		items := d.list(f["keys"], "keys of "+name)
		if len(items) == 0 {
			d.fail(f["keys"], "principal %s has no key; remove the principal or add a key", name)
		}
		for _, item := range items {
			d.key(item, name, ring)
		}
	}
	return people, ring
}

// key reads one key into the ring.
func (d *decoder) key(n *yaml.Node, owner string, ring keyring) {
	f := d.fields(n, "a key of "+owner, "ssh", "sshCA", "openpgp", "keyless", "namespaces", "notBefore", "notAfter")
	k := &key{owner: owner}
	if !d.material(n, f, k) {
		return
	}
	d.validity(f, k)
	if n := f["namespaces"]; n != nil {
		d.namespaces(n, k)
	}
	for _, id := range k.ids {
		if other := ring[id]; other != nil {
			d.fail(n, "the key %s is listed twice, for %s and %s; a key belongs to one principal and is listed once", k.name, other.owner, owner)
			return
		}
	}
	for _, id := range k.ids {
		ring[id] = k
	}
}

// material reads what makes the key, and reports whether it could.
func (d *decoder) material(n *yaml.Node, f map[string]*yaml.Node, k *key) bool {
	kinds := []string{"ssh", "sshCA", "openpgp", "keyless"}
	kinds = slices.DeleteFunc(kinds, func(kind string) bool { return f[kind] == nil })
	if len(kinds) != 1 {
		d.fail(n, "a key of %s must be exactly one of ssh, sshCA, openpgp and keyless", k.owner)
		return false
	}
	switch m := f[kinds[0]]; kinds[0] {
	case "ssh":
		if err := k.parseSSH(d.text(m, "ssh")); err != nil {
			d.fail(m, "not an SSH public key for signing: %v", err)
			return false
		}
	case "sshCA":
		return d.sshCA(m, k)
	case "openpgp":
		p := d.fields(m, "openpgp", "fingerprint!", "publicKey!")
		if p["fingerprint"] == nil || p["publicKey"] == nil {
			return false
		}
		if err := k.parseOpenPGP(p["fingerprint"].Value, d.text(p["publicKey"], "publicKey")); err != nil {
			d.fail(m, "not an OpenPGP public key for signing: %v", err)
			return false
		}
	case "keyless":
		var ok bool
		k.keyless, ok = d.keyless(m)
		k.name, k.ids = k.keyless.String(), []string{k.keyless.id()}
		return ok
	}
	return true
}

// namespaces reads what an SSH key is for, as allowed_signers has it, without
// patterns. A key that is not for git is in the policy to be told apart: whoever
// signs a commit with it hears why it does not count.
func (d *decoder) namespaces(n *yaml.Node, k *key) {
	if k.ssh == nil {
		d.fail(n, "only SSH signatures have namespaces; leave them out for other keys")
	}
	for _, item := range d.list(n, "namespaces") {
		name := d.text(item, "a namespace")
		if name == "" || strings.ContainsAny(name, "*?!, ") || !plainPath(name) {
			d.fail(item, "%q is no namespace; write one as ssh-keygen -n has it, such as %s: no patterns", name, namespace)
		}
		k.purposes = append(k.purposes, name)
	}
	if len(k.purposes) == 0 {
		d.fail(n, "namespaces is empty: the key would be for nothing; leave it out, or write [%s]", namespace)
	}
}

func (d *decoder) validity(f map[string]*yaml.Node, k *key) {
	if n := f["notBefore"]; n != nil {
		k.notBefore = d.instant(n, "notBefore")
	}
	if n := f["notAfter"]; n != nil {
		k.notAfter = d.instant(n, "notAfter")
		if !k.notAfter.After(k.notBefore) {
			d.fail(n, "notAfter is not after notBefore: the key %s would never be valid", k.name)
		}
	}
}

// parseSSH reads "type base64 [comment]". Options, certificates and weak keys
// are refused.
func (k *key) parseSSH(s string) error {
	words := strings.Fields(s)
	if len(words) < 2 || strings.ContainsAny(s, "\r\n") {
		return errors.New("it must be one line: type, base64 and an optional comment, as in the .pub file")
	}
	wire, err := base64.StdEncoding.Strict().DecodeString(words[1])
	if err != nil {
		return errors.New("the second word is not base64; copy the whole line of the .pub file")
	}
	pub, err := ssh.ParsePublicKey(wire)
	if err != nil {
		return fmt.Errorf("the key does not parse: %w", err)
	}
	if pub.Type() != words[0] || !bytes.Equal(pub.Marshal(), wire) {
		return fmt.Errorf("the key is of type %s but the line says %s, or it is not canonical", pub.Type(), words[0])
	}
	if err := strongSSH(pub); err != nil {
		return err
	}
	k.ssh, k.name, k.ids = pub, ssh.FingerprintSHA256(pub), []string{sshID(pub)}
	return nil
}

// strongSSH says why a key must not sign commits, if so.
func strongSSH(pub ssh.PublicKey) error {
	switch pub.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
		ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		return nil
	case ssh.KeyAlgoRSA:
		if c, ok := pub.(ssh.CryptoPublicKey); ok {
			if r, ok := c.CryptoPublicKey().(*rsa.PublicKey); ok && r.N.BitLen() >= minRSA {
				return nil
			}
		}
		return fmt.Errorf("RSA keys need %d bits or more; make a new one with ssh-keygen -t ed25519", minRSA)
	}
	return fmt.Errorf("keys of type %s are not accepted; make one with ssh-keygen -t ed25519", pub.Type())
}

func validName(s string) bool {
	return s != "" && len(s) <= 63 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-._") == "" && s[0] != '-' && s[0] != '.'
}
