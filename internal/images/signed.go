package images

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/cosign/v2/pkg/oci"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"prumo.dev/prumo/internal/core"
)

// signPredicate is the in-toto predicate type of a signature in the bundle
// format of cosign 3. Every other bundle is an attestation: it says something
// about an image, not that it may run.
const signPredicate = "https://sigstore.dev/cosign/sign/v1"

// An artifact is one image by digest, and what is attached to it in the registry.
type artifact struct {
	digest name.Digest
	hash   v1.Hash
	opts   []remote.Option

	bundles    []*bundle.Bundle // read once
	noBundles  error            // why there are none
	readBefore bool
}

// signedBy says why a signer has not signed an image; nil if it has. Both formats
// are looked at.
func (v *Verifier) signedBy(ctx context.Context, a *artifact, s core.ImageSigner) error {
	co, err := v.check(s, a.opts)
	if err != nil {
		return err
	}
	co.ClaimVerifier = cosign.SimpleClaimVerifier // else a signature of any image would do
	sigs, _, legacy := cosign.VerifyImageSignatures(ctx, a.digest, co)
	if legacy == nil {
		if legacy = stillTrusted(co, sigs); legacy == nil {
			return nil
		}
	}
	if err := a.bundle(ctx, co, signPredicate); err != nil {
		return fmt.Errorf("%w; %w", oneLine(legacy), err)
	}
	return nil
}

// attestedBy says why a signer has not attested a predicate of an image.
func (v *Verifier) attestedBy(ctx context.Context, a *artifact, s core.ImageSigner, predicate string) error {
	co, err := v.check(s, a.opts)
	if err != nil {
		return err
	}
	co.ClaimVerifier = cosign.IntotoSubjectClaimVerifier
	atts, _, legacy := cosign.VerifyImageAttestations(ctx, a.digest, co)
	if legacy == nil {
		atts = slices.DeleteFunc(atts, func(att oci.Signature) bool {
			envelope, err := att.Payload()
			return err != nil || predicateOf(envelope) != predicate
		})
		if legacy = stillTrusted(co, atts); legacy == nil {
			return nil
		}
	}
	if err := a.bundle(ctx, co, predicate); err != nil {
		return fmt.Errorf("%w; %w", oneLine(legacy), err)
	}
	return nil
}

var errNoRoot = errors.New("this needs the trusted root of a Sigstore instance: set images.sigstoreRoot in the daemon's configuration")

// check returns cosign's options for a signer, filled so that nothing in them
// means "any". The claim verifier is for the caller to add.
func (v *Verifier) check(s core.ImageSigner, opts []remote.Option) (*cosign.CheckOpts, error) {
	co := &cosign.CheckOpts{
		RegistryClientOpts: []ociremote.Option{ociremote.WithRemoteOptions(opts...)},
		Offline:            true,
		TrustedMaterial:    v.root,
		MaxWorkers:         2,
	}
	switch {
	case s.Key != "":
		key, err := cryptoutils.UnmarshalPEMToPublicKey([]byte(s.Key))
		if err != nil {
			return nil, fmt.Errorf("the rule's key: %w", err)
		}
		if co.SigVerifier, err = signature.LoadVerifier(key, crypto.SHA256); err != nil {
			return nil, fmt.Errorf("the rule's key: %w", err)
		}
		co.IgnoreTlog = s.NoTlog
	case s.Issuer == "" || s.Subject == "":
		return nil, errors.New("the rule names no identity in full")
	default:
		co.Identities = []cosign.Identity{{Issuer: s.Issuer, Subject: s.Subject}}
		co.IgnoreSCT = v.ignoreSCT
	}
	if v.root == nil {
		if !co.IgnoreTlog {
			return nil, errNoRoot
		}
		co.TrustedMaterial = &root.BaseTrustedMaterial{} // trusts nothing; cosign wants one
	}
	return co, nil
}

// stillTrusted says why none of the signatures was made while all certificates
// above it were valid; cosign 2 looks at the last one only (CVE-2026-24122).
func stillTrusted(co *cosign.CheckOpts, sigs []oci.Signature) error {
	if co.SigVerifier != nil && len(sigs) > 0 {
		return nil
	}
	for _, sig := range sigs {
		cert, err := sig.Cert()
		if err != nil || cert == nil {
			continue
		}
		entry, err := sig.Bundle()
		if err != nil || entry == nil {
			continue
		}
		if _, err := verify.VerifyLeafCertificate(time.Unix(entry.Payload.IntegratedTime, 0), cert, co.TrustedMaterial); err == nil {
			return nil
		}
	}
	if len(sigs) > 0 {
		return errors.New("a certificate was not valid when the signature was made")
	}
	return errors.New("no such attestation found")
}

// bundle says why no bundle of a predicate type passes.
func (a *artifact) bundle(ctx context.Context, co *cosign.CheckOpts, predicate string) error {
	if !a.readBefore {
		a.readBefore = true
		a.bundles, _, a.noBundles = cosign.GetBundles(ctx, a.digest, co)
	}
	if a.noBundles != nil {
		return oneLine(a.noBundles)
	}
	sum, err := hexBytes(a.hash)
	if err != nil {
		return err
	}
	reason := errors.New("no bundle with predicate type " + predicate)
	for _, b := range a.bundles {
		envelope := b.GetDsseEnvelope()
		if envelope == nil || statementType(envelope.GetPayload()) != predicate {
			continue
		}
		if _, err := cosign.VerifyNewBundle(ctx, timed(co, b), verify.WithArtifactDigest(a.hash.Algorithm, sum), b); err != nil {
			reason = oneLine(fmt.Errorf("bundle: %w", err))
			continue
		}
		return nil
	}
	return reason
}

// timed asks for the time of a bundle where it has one: from authorities of the
// trusted root if it brings timestamps (RFC 3161), as with logs that say none
// themselves (Rekor v2), else from the log.
func timed(co *cosign.CheckOpts, b *bundle.Bundle) *cosign.CheckOpts {
	options := *co
	options.UseSignedTimestamps = len(b.GetVerificationMaterial().GetTimestampVerificationData().GetRfc3161Timestamps()) > 0
	return &options
}

// predicateOf returns the predicate type of the statement in a DSSE envelope.
func predicateOf(envelope []byte) string {
	var e struct {
		Payload []byte `json:"payload"`
	}
	if json.Unmarshal(envelope, &e) != nil {
		return ""
	}
	return statementType(e.Payload)
}

func statementType(statement []byte) string {
	var s struct {
		PredicateType string `json:"predicateType"`
	}
	if json.Unmarshal(statement, &s) != nil {
		return ""
	}
	return s.PredicateType
}
