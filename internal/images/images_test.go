package images

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"

	"prumo.dev/prumo/internal/core"
)

const (
	slsa = "https://slsa.dev/provenance/v1"
	scan = "https://cosign.sigstore.dev/attestation/vuln/v1"
)

// A row is one image, what is attached to it, and what its rule asks for.
type row struct {
	name    string
	prepare func(w *world, it name.Digest) core.ImageRule
	image   func(w *world, it name.Digest) string // default: by digest
	refused string                                // part of the message; empty: allowed
}

// TestResolve says what is let in and what is not; the numbers are those of the
// list of attacks in docs/images.md.
func TestResolve(t *testing.T) {
	key, other := newKey(t), newKey(t)
	vs, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	const issuer = "https://accounts.lab.example"
	imgbot := person{vs, "imgbot@lab.example", issuer}
	allOf := func(s ...core.ImageSigner) core.ImageRule { return core.ImageRule{AllOf: s} }
	now := time.Now().Add(time.Second)
	rows := []row{
		{name: "signed by key", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.sign(key, it, it)
			return allOf(key.signer())
		}},
		{name: "signed by key, bundle", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.bundle(key, it, it, signPredicate)
			return allOf(key.signer())
		}},
		{name: "signed by two keys, two formats", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.sign(key, it, it)
			w.bundle(other, it, it, signPredicate)
			return allOf(key.signer(), other.signer())
		}},
		{name: "keyless", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.keyless(imgbot, it, it, it, now)
			return allOf(imgbot.signer())
		}},
		{name: "keyless bundle", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.keylessBundle(imgbot, it, it, signPredicate)
			return allOf(imgbot.signer())
		}},
		{name: "attested, both formats", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.sign(key, it, it)
			w.attest(key, it, it, slsa)
			w.bundle(key, it, it, scan)
			return core.ImageRule{AllOf: []core.ImageSigner{key.signer()}, Attestations: []string{slsa, scan}}
		}},
		{name: "digest of the rule", prepare: func(_ *world, it name.Digest) core.ImageRule {
			return core.ImageRule{Digests: []string{it.DigestStr()}}
		}},
		{name: "68 unsigned", prepare: func(*world, name.Digest) core.ImageRule { return allOf(key.signer()) },
			refused: "no valid signature of the key SHA256:"},
		{name: "69 wrong key", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.sign(other, it, it)
			return allOf(key.signer())
		}, refused: "no matching signatures"},
		{name: "69 wrong key, bundle", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.bundle(other, it, it, signPredicate)
			return allOf(key.signer())
		}, refused: "no valid signature"},
		{name: "69 one of two signers", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.sign(key, it, it)
			return allOf(key.signer(), other.signer())
		}, refused: "no valid signature"},
		{name: "69 another subject", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.keyless(person{vs, "imgbot@lab.example.evil.example", issuer}, it, it, it, now)
			return allOf(imgbot.signer())
		}, refused: "none of the expected identities matched"},
		{name: "69 another issuer", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.keyless(person{vs, imgbot.subject, "https://evil.example"}, it, it, it, now)
			return allOf(imgbot.signer())
		}, refused: "none of the expected identities matched"},
		{name: "69 another subject, bundle", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.keylessBundle(person{vs, "eve@lab.example", issuer}, it, it, signPredicate)
			return allOf(imgbot.signer())
		}, refused: "no valid signature"},
		{name: "keyless, log of the second version", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.keylessBundleV2(imgbot, it, it, vs)
			return allOf(imgbot.signer())
		}},
		{name: "69 no time, log of the second version", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.keylessBundleV2(imgbot, it, it)
			return allOf(imgbot.signer())
		}, refused: "no valid signature"},
		{name: "69 time of an authority that nobody pinned", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.keylessBundleV2(imgbot, it, it, foreign)
			return allOf(imgbot.signer())
		}, refused: "no valid signature"},
		{name: "69 log of the second version of another Sigstore", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.keylessBundleV2(person{foreign, imgbot.subject, issuer}, it, it, vs)
			return allOf(imgbot.signer())
		}, refused: "no valid signature"},
		{name: "69 another Sigstore", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.keyless(person{foreign, imgbot.subject, issuer}, it, it, it, now)
			return allOf(imgbot.signer())
		}, refused: "no valid signature"},
		{name: "70 signature of another digest", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.sign(key, w.push("ml/other:1"), it)
			return allOf(key.signer())
		}, refused: "invalid or missing digest in claim"},
		{name: "70 bundle of another digest", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.bundle(key, w.push("ml/other:1"), it, signPredicate)
			return allOf(key.signer())
		}, refused: "no valid signature"},
		{name: "73 attestation instead of signature", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.bundle(key, it, it, scan)
			w.attest(key, it, it, signPredicate)
			return allOf(key.signer())
		}, refused: "no bundle with predicate type " + signPredicate},
		{name: "73 another predicate", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.sign(key, it, it)
			w.attest(key, it, it, scan)
			w.bundle(key, it, it, scan)
			return core.ImageRule{AllOf: []core.ImageSigner{key.signer()}, Attestations: []string{slsa}}
		}, refused: "no valid attestation " + slsa},
		{name: "73 attestation by another key", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.sign(key, it, it)
			w.attest(other, it, it, slsa)
			return core.ImageRule{AllOf: []core.ImageSigner{key.signer()}, Attestations: []string{slsa}}
		}, refused: "no valid attestation " + slsa},
		{name: "73 attestation of another image", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.sign(key, it, it)
			w.attest(key, w.push("ml/other:1"), it, slsa)
			return core.ImageRule{AllOf: []core.ImageSigner{key.signer()}, Attestations: []string{slsa}}
		}, refused: "no matching subject digest"},
		{name: "74 logged when an authority had expired", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.keyless(imgbot, it, it, it, time.Now().Add(48*time.Hour))
			return allOf(imgbot.signer())
		}, refused: "no valid signature"},
		{name: "75 log entry of another signature", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.keyless(imgbot, it, w.push("ml/other:1"), it, now)
			return allOf(imgbot.signer())
		}, refused: "no valid signature"},
		{name: "key that needs a log", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.sign(key, it, it)
			return allOf(core.ImageSigner{Key: key.pem})
		}, refused: "no valid signature"},
		{name: "digest not of the rule", prepare: func(w *world, _ name.Digest) core.ImageRule {
			return core.ImageRule{Digests: []string{w.push("ml/other:1").DigestStr()}}
		}, refused: "needed: a digest of the rule"},
		{name: "rule without a demand", prepare: func(*world, name.Digest) core.ImageRule { return core.ImageRule{} },
			refused: "the rule asks for nothing"},
		{name: "identity without an issuer", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.keyless(imgbot, it, it, it, now)
			return allOf(core.ImageSigner{Subject: imgbot.subject})
		}, refused: "names no identity in full"},
		{name: "77 same digest in a repository without it", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.sign(key, it, it)
			return allOf(key.signer())
		}, image: func(w *world, it name.Digest) string { return w.host + "/ml/mirror@" + it.DigestStr() }, refused: "the registry's word"},
		{name: "78 no rule", prepare: func(*world, name.Digest) core.ImageRule { return allOf(key.signer()) },
			image: func(w *world, it name.Digest) string { return w.host + "/web/app@" + it.DigestStr() }, refused: "no rule matches"},
		{name: "no image name", prepare: func(*world, name.Digest) core.ImageRule { return allOf(key.signer()) },
			image: func(*world, name.Digest) string { return "" }, refused: "not an image name"},
		{name: "80 registry down", prepare: func(w *world, it name.Digest) core.ImageRule {
			w.sign(key, it, it)
			w.server.Close()
			return allOf(key.signer())
		}, refused: "see that the registry is up"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			w := newWorld(t)
			it := w.push("ml/app:1")
			rule := r.prepare(w, it)
			rule.Match = w.host + "/ml/*"
			image := it.String()
			if r.image != nil {
				image = r.image(w, it)
			}
			v := newVerifier(t, Options{})
			v.root, v.ignoreSCT = vs, true
			pinned, problems := v.Resolve(t.Context(), core.ImagePolicy{Rules: []core.ImageRule{rule}}, []Use{{Image: image}})
			check(t, problems, r.refused)
			if want := w.host + "/ml/app@" + it.DigestStr(); r.refused == "" && pinned[image] != want {
				t.Errorf("pinned to %q, want %q", pinned[image], want)
			}
			if r.refused != "" && len(pinned) > 0 {
				t.Errorf("refused and pinned all the same: %v", pinned)
			}
		})
	}
}

func newVerifier(t *testing.T, opts Options) *Verifier {
	t.Helper()
	return must(New(opts))(t)
}

// check compares problems with part of the one that is expected, if any.
func check(t *testing.T, problems []core.Problem, refused string) {
	t.Helper()
	switch {
	case refused == "" && len(problems) > 0:
		t.Errorf("refused: %v", problems)
	case refused != "" && len(problems) != 1:
		t.Errorf("got %d problems, want one with %q", len(problems), refused)
	case refused != "" && !strings.Contains(problems[0].Msg, refused):
		t.Errorf("got %q, want %q in it", problems[0].Msg, refused)
	}
}
