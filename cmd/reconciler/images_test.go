package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/cosign/v2/pkg/oci/mutate"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/payload"

	"prumo.dev/prumo/examples"
)

// A house is a registry, and the key that its images are signed with.
type house struct {
	registry *httptest.Server
	signer   signature.SignerVerifier
	public   string
	digests  []string // of the example
	version  int      // of the policy
}

var (
	exampleDigest = regexp.MustCompile(`sha256:[0-9a-f]{64}`)
	imageLine     = regexp.MustCompile(`(?m)^  image: .*$`)
)

// cmdImages starts a registry and writes a policy that lets in what the house has
// signed, and of the example's images those that are there now.
func (w *world) cmdImages(ts *testscript.TestScript, args []string) error {
	switch strings.Join(args, " ") {
	case "down":
		w.house.registry.Close()
		return nil
	case "revoke":
		other, err := newImageKey()
		if err != nil {
			return err
		}
		return w.imagePolicy(string(other.PublicBytes))
	case "restore":
		return w.imagePolicy(w.house.public)
	}
	keys, err := newImageKey()
	if err != nil {
		return err
	}
	w.house = &house{public: string(keys.PublicBytes), version: 1,
		registry: httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))}
	ts.Defer(w.house.registry.Close)
	if w.house.signer, err = cosign.LoadPrivateKey(keys.PrivateBytes, nil, nil); err != nil {
		return err
	}
	err = fs.WalkDir(examples.InfraRepo(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(examples.InfraRepo(), p)
		w.house.digests = append(w.house.digests, exampleDigest.FindAllString(string(data), -1)...)
		return err
	})
	if err != nil {
		return err
	}
	return w.imagePolicy(w.house.public)
}

func newImageKey() (*cosign.KeysBytes, error) {
	return cosign.GenerateKeyPair(func(bool) ([]byte, error) { return nil, nil })
}

// imagePolicy writes a policy that lets in what a key has signed.
func (w *world) imagePolicy(key string) error {
	w.house.version++
	policy := strings.Replace(w.lab.Policy, "\nversion: 1\n", fmt.Sprintf("\nversion: %d\n", w.house.version), 1) + fmt.Sprintf(`
images:
  rules:
    - match: %s/ml/*
      allOf: [{key: %q, tlog: false}]
    - match: registry.lab.example/**
      digests: ["%s"]
`, w.house.host(), key, strings.Join(w.house.digests, `", "`))
	return w.lab.Repo.Write(".prumo/policy.yaml", []byte(policy))
}

func (h *house) host() string { return strings.TrimPrefix(h.registry.URL, "http://") }

// cmdImage pushes an image, signed or not, and puts it into a spec of the example.
func (w *world) cmdImage(ts *testscript.TestScript, args []string) error {
	if err := want(args, 2, "image PATH signed|unsigned"); err != nil {
		return err
	}
	img, err := random.Image(64, 1)
	if err != nil {
		return err
	}
	tag, err := name.NewTag(w.house.host() + "/ml/app:1")
	if err != nil {
		return err
	}
	if err := remote.Write(tag, img); err != nil {
		return err
	}
	hash, err := img.Digest()
	if err != nil {
		return err
	}
	digest := tag.Digest(hash.String())
	if args[1] == "signed" {
		if err := w.house.sign(digest); err != nil {
			return err
		}
	}
	spec, err := fs.ReadFile(examples.InfraRepo(), args[0])
	if err != nil {
		return err
	}
	ts.Setenv("IMAGE", digest.String())
	return w.lab.Repo.Write(args[0], imageLine.ReplaceAll(spec, []byte("  image: "+digest.String())))
}

// sign signs a digest as cosign does.
func (h *house) sign(digest name.Digest) error {
	claim, err := (payload.Cosign{Image: digest}).MarshalJSON()
	if err != nil {
		return err
	}
	raw, err := h.signer.SignMessage(bytes.NewReader(claim))
	if err != nil {
		return err
	}
	sig, err := static.NewSignature(claim, base64.StdEncoding.EncodeToString(raw))
	if err != nil {
		return err
	}
	entity, err := ociremote.SignedEntity(digest)
	if err != nil {
		return err
	}
	if entity, err = mutate.AttachSignatureToEntity(entity, sig); err != nil {
		return err
	}
	return ociremote.WriteSignatures(digest.Repository, entity)
}
