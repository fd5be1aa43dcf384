package images

import (
	"testing"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/test/sigstore"
)

// A watched instance has an authority whose certificates a log sees.
type watched struct {
	*ca.VirtualSigstore
	fulcio *sigstore.Fulcio
	logs   map[string]*root.TransparencyLog
}

func (w *watched) FulcioCertificateAuthorities() []root.CertificateAuthority {
	return []root.CertificateAuthority{w.fulcio.Authority()}
}
func (w *watched) CTLogs() map[string]*root.TransparencyLog { return w.logs }

// TestSCT wants the log of the authority to have seen a signer's certificate, as
// verification outside of tests always does.
func TestSCT(t *testing.T) {
	const subject, issuer = "imgbot@lab.example", "https://accounts.lab.example"
	own, other := must(sigstore.NewFulcio())(t), must(sigstore.NewFulcio())(t)
	instance := &watched{must(ca.NewVirtualSigstore())(t), own, must(own.CTLogs())(t)}
	for _, tt := range []struct {
		name    string
		seenBy  *sigstore.Fulcio
		refused string
	}{
		{"seen by its log", own, ""},
		{"seen by nobody", nil, "SCT"},
		{"seen by another log", other, "no valid signature"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			it := w.push("ml/app:1")
			leaf, key, err := own.Leaf(subject, issuer, tt.seenBy)
			if err != nil {
				t.Fatal(err)
			}
			w.attachLogged(it, leaf, key, instance.VirtualSigstore, own.Intermediate, own.Root)
			v := newVerifier(t, Options{})
			v.root = instance
			policy := core.ImagePolicy{Rules: []core.ImageRule{{Match: w.host + "/ml/*", AllOf: []core.ImageSigner{{Subject: subject, Issuer: issuer}}}}}
			_, problems := v.Resolve(t.Context(), policy, []Use{{Image: it.String()}})
			check(t, problems, tt.refused)
		})
	}
}
