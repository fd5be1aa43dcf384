package trust

import (
	"strings"
	"testing"
	"time"

	"github.com/github/smimesign/ietf-cms/protocol"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"

	"prumo.dev/prumo/test/sigstore"
)

// stamped has the authorities of a stack stamp a signature, as gitsign asks them.
func (g *gitsign) stamped(by *ca.VirtualSigstore) func(signature []byte) []byte {
	return func(signature []byte) []byte {
		g.t.Helper()
		answer, err := by.TimestampResponse(signature)
		g.must(err)
		token, err := sigstore.Token(answer)
		g.must(err)
		return token
	}
}

func newRekor(t *testing.T) *sigstore.Rekor {
	t.Helper()
	r, err := sigstore.NewRekor()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestKeylessTimes is the list of what says when a keyless signature was made, by
// logs of both kinds and by authorities.
func TestKeylessTimes(t *testing.T) {
	second := func(g *gitsign) { g.rekor, g.stamp = newRekor(t), g.stamped(g.stack) }
	entry := func(g *gitsign, change func(*protorekor.TransparencyLogEntry)) {
		second(g)
		g.entry = change
	}
	fulcio := func(g *gitsign, ahead time.Duration) {
		second(g)
		f, err := sigstore.NewFulcio()
		g.must(err)
		f.Ahead, g.fulcio = ahead, f
	}
	other := newGitsign(t)
	for _, tt := range []struct {
		name        string
		make        func(g *gitsign)
		code, found string
	}{
		{"log of the second kind, stamped", second, "", ""},
		{"entry that says so", func(g *gitsign) {
			entry(g, func(e *protorekor.TransparencyLogEntry) { e.KindVersion.Version, e.InclusionPromise = "0.0.2", nil })
		}, "", ""},
		{"log of the first kind, stamped too", func(g *gitsign) { g.stamp = g.stamped(g.stack) }, "", ""},

		{"not stamped", func(g *gitsign) { g.rekor = newRekor(t) }, CodeFormat, "nothing says when"},
		{"stamped by strangers", func(g *gitsign) {
			second(g)
			g.stamp = g.stamped(other.stack)
		}, CodeKeyless, "signed timestamps"},
		{"first kind, stamped by strangers too", func(g *gitsign) { g.stamp = g.stamped(other.stack) }, CodeKeyless, "signed timestamps"},
		{"stamp of another signature", func(g *gitsign) {
			second(g)
			g.stamp = func([]byte) []byte { return g.stamped(g.stack)([]byte("another")) }
		}, CodeKeyless, "signed timestamps"},
		{"stamped before the certificate", func(g *gitsign) { fulcio(g, 3*time.Minute) }, CodeKeyless, "leaf certificate"},
		{"stamped after the certificate", func(g *gitsign) { fulcio(g, -10*time.Minute) }, CodeKeyless, "leaf certificate"},
		{"stamped in the future", func(g *gitsign) {
			second(g)
			g.seen = -10 * time.Minute
		}, CodeDate, "keyless signature"},
		{"two stamps", func(g *gitsign) {
			second(g)
			g.signed = func(sd *protocol.SignedData) {
				g.attachStamp(&sd.SignerInfos[0], g.stamped(g.stack)(sd.SignerInfos[0].Signature))
			}
		}, CodeFormat, "one timestamp"},
		{"no stamp in its place", func(g *gitsign) {
			second(g)
			g.stamp = func([]byte) []byte { return []byte{5, 0} }
		}, CodeFormat, "timestamp is not DER"},
		{"a time that the log did not sign", func(g *gitsign) {
			entry(g, func(e *protorekor.TransparencyLogEntry) { e.IntegratedTime = time.Now().Unix() })
		}, CodeFormat, "has not signed"},
		{"first kind without its signed time, stamped", func(g *gitsign) {
			g.stamp = g.stamped(g.stack)
			g.entry = func(e *protorekor.TransparencyLogEntry) { e.InclusionPromise, e.IntegratedTime = nil, 0 }
		}, CodeKeyless, ""},

		{"entry of another signature", func(g *gitsign) {
			second(g)
			g.logs = func(b []byte) []byte { return append([]byte("x"), b...) }
		}, CodeKeyless, "inclusion"},
		{"checkpoint of another log", func(g *gitsign) {
			entry(g, func(e *protorekor.TransparencyLogEntry) {
				var err error
				e.InclusionProof.Checkpoint.Envelope, err = newRekor(t).Checkpoint(2, e.InclusionProof.RootHash)
				g.must(err)
			})
		}, CodeKeyless, "checkpoint"},
		{"checkpoint that was changed", func(g *gitsign) {
			entry(g, func(e *protorekor.TransparencyLogEntry) {
				c := e.InclusionProof.Checkpoint
				c.Envelope = strings.Replace(c.Envelope, "\n2\n", "\n3\n", 1)
			})
		}, CodeKeyless, "checkpoint"},
		{"no proof that it is in the log", func(g *gitsign) {
			entry(g, func(e *protorekor.TransparencyLogEntry) { e.InclusionProof = nil })
		}, CodeKeyless, "inclusion proof"},
		{"another place in the log", func(g *gitsign) {
			entry(g, func(e *protorekor.TransparencyLogEntry) { e.LogIndex, e.InclusionProof.LogIndex = 0, 0 })
		}, CodeKeyless, "inclusion"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGitsign(t)
			tt.make(g)
			if code, found := g.verdict(g.root(false)); code != tt.code || !strings.Contains(found, tt.found) {
				t.Errorf("got %s: %s; want %s for %q", code, found, tt.code, tt.found)
			}
		})
	}
	t.Run("unknown log", func(t *testing.T) {
		g := newGitsign(t)
		anchor := g.root(false)
		second(g)
		if code, found := g.verdict(anchor); code != CodeKeyless || !strings.Contains(found, "not enough verified log entries") {
			t.Errorf("got %s: %s", code, found)
		}
	})
}
