package images

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/sigstore/sigstore-go/pkg/root"
	"golang.org/x/sync/errgroup"

	"prumo.dev/prumo/internal/core"
)

// Options say where images are judged from.
type Options struct {
	Registries   []Registry
	SigstoreRoot []byte    // trusted_root.json; nil: keyless signatures and logs cannot be checked
	Documents    Documents // remember what was let in; nil: nothing is remembered

	// Policy reads what a revision says about images; nil: nothing.
	Policy func(tree fs.FS) (*core.ImagePolicy, []core.Problem, error)
}

// Bounds of one pass.
const (
	atOnce     = 8                // images judged at a time
	imageLimit = 20 * time.Second // for one image
	passLimit  = time.Minute      // for all
	maxImages  = 5000
)

// A Verifier judges images. It implements reconcile.Images and is not safe for
// concurrent use.
type Verifier struct {
	policy     func(tree fs.FS) (*core.ImagePolicy, []core.Problem, error)
	registries *registries
	root       root.TrustedMaterial
	ignoreSCT  bool // tests only: their authority has no certificate log
	pins       pins
	fields     []core.ImageField // of the last Pin
	known      known
}

// New checks the options; it asks nobody.
func New(opts Options) (*Verifier, error) {
	v := &Verifier{policy: opts.Policy, pins: pins{docs: opts.Documents}}
	var err error
	if v.registries, err = newRegistries(opts.Registries); err != nil {
		return nil, err
	}
	if opts.SigstoreRoot != nil {
		if v.root, err = root.NewTrustedRootFromJSON(opts.SigstoreRoot); err != nil {
			return nil, fmt.Errorf("trusted root of Sigstore: %w", err)
		}
	}
	return v, nil
}

// Resolve judges the images of uses, each once. It returns what each image that
// passed is pinned to (repository@digest), and a Problem for each use of another.
func (v *Verifier) Resolve(ctx context.Context, policy core.ImagePolicy, uses []Use) (map[string]string, []core.Problem) {
	v.known.begin()
	verdicts := v.judgeAll(ctx, policy, uses)
	pinned := make(map[string]string)
	var problems []core.Problem
	for _, u := range uses {
		out := verdicts[u.Image]
		switch {
		case u.Guess:
			problems = append(problems, u.undeclared())
		case out == nil:
			problems = append(problems, u.refused(refuse("", fmt.Sprintf("more than %d images", maxImages), "fewer", "split the repo")))
		case out.refusal != nil:
			problems = append(problems, u.refused(*out))
		default:
			pinned[u.Image] = out.pinned
		}
	}
	return pinned, problems
}

// judgeAll judges the images of uses, each once, up to maxImages.
func (v *Verifier) judgeAll(ctx context.Context, policy core.ImagePolicy, uses []Use) map[string]*verdict {
	ctx, cancel := context.WithTimeout(ctx, passLimit)
	defer cancel()
	verdicts := make(map[string]*verdict)
	for _, u := range uses {
		if len(verdicts) < maxImages {
			verdicts[u.Image] = new(verdict)
		}
	}
	var group errgroup.Group
	group.SetLimit(atOnce)
	for image, out := range verdicts {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, imageLimit)
			defer cancel()
			*out = v.judge(ctx, policy, image)
			return nil
		})
	}
	_ = group.Wait() // none fails: a refusal is a verdict
	return verdicts
}

// A verdict is what became of one image.
type verdict struct {
	pinned     string // repository@digest
	refusal    *refusal
	unanswered bool // refused because the registry does not say what the image is
}

type refusal struct {
	rule, found, needed, remedy string
	detail                      string // what the registry says, for the operator alone
}

// String goes on where a sentence has named the image.
func (r refusal) String() string {
	return fmt.Sprintf("is refused by %s: %s; needed: %s; to fix it: %s", cmp.Or(r.rule, "the image policy"), r.found, r.needed, r.remedy)
}

func refuse(rule, found, needed, remedy string) verdict {
	return verdict{refusal: &refusal{rule: rule, found: found, needed: needed, remedy: remedy}}
}

func (u Use) problem(msg string) core.Problem {
	return core.Problem{Pos: u.Pos, Spec: u.Spec, Stage: core.StageVerify, Msg: msg}
}

func (u Use) refused(v verdict) core.Problem {
	p := u.problem(fmt.Sprintf("image %q of %s (%s) %s", u.Image, u.Object, u.Path, v.refusal))
	p.Detail = v.refusal.detail
	return p
}

func (u Use) undeclared() core.Problem { return u.problem(u.guess()) }

// guess says what is wrong with an image that nobody looks at.
func (u Use) guess() string {
	if u.Path == "" {
		return fmt.Sprintf("%s has a controller fetch what it runs, and no image of that would be verified; render the objects themselves, or name the fields that hold its images under images.fields of the policy, as fields of %s",
			u.Object, kindOf(u.Object))
	}
	return fmt.Sprintf("%s of %s looks like an image (%q) and would not be verified; add the path under images.fields of the policy, as a field of %s",
		u.Path, u.Object, u.Image, kindOf(u.Object))
}

// judge resolves one image and asks for what its rule needs.
func (v *Verifier) judge(ctx context.Context, policy core.ImagePolicy, image string) verdict {
	ref, repo, err := parse(image)
	if err != nil {
		return refuse("", "not an image name", "registry/repository:tag or @sha256:…", "correct the name")
	}
	rule, ok := ruleOf(policy.Rules, repo)
	if !ok {
		return refuse("", "no rule matches "+repo, "a rule whose match covers it", "add one under images.rules of the policy, or use an image of a repository that has one")
	}
	where := fmt.Sprintf("rule %s (%s)", rule.Match, rule.Pos)
	opts := v.registries.options(ctx)
	digest, err := v.digest(ref, image, opts)
	if err != nil {
		return unanswered(where, err)
	}
	out := verdict{pinned: repo + "@" + digest.DigestStr()}
	if len(rule.Digests) > 0 {
		if !slices.Contains(rule.Digests, digest.DigestStr()) {
			return refuse(where, "it is "+digest.DigestStr(), "a digest of the rule", "use one of them, or add this one to the rule")
		}
		return out
	}
	if len(rule.AllOf) == 0 {
		return refuse(where, "the rule asks for nothing", "allOf or digests", "complete the rule")
	}
	return v.signed(ctx, rule, where, digest, opts, out)
}

func unanswered(where string, err error) verdict {
	out := refuse(where, publicly(err), "the registry's word on what this image is",
		"see that the registry is up, that the image is there and that the daemon may read it; until then what runs stays as it is")
	out.unanswered = true
	return out.detailed(err)
}

// of notes that the reason of a refusal may be that a registry was silent.
func (v verdict) of(err error) verdict {
	v.unanswered = silent(err)
	return v.detailed(err)
}

// detailed adds what the registry says.
func (v verdict) detailed(err error) verdict {
	v.refusal.detail = oneLine(err).Error()
	return v
}

// signed returns out if every signer has signed and everything is attested.
func (v *Verifier) signed(ctx context.Context, rule core.ImageRule, where string, digest name.Digest, opts []remote.Option, out verdict) verdict {
	key := out.pinned + " " + keyOf(rule)
	if before, ok := v.known.get(key); ok {
		return before
	}
	hash, err := v1.NewHash(digest.DigestStr())
	if err != nil {
		return refuse(where, err.Error(), "a SHA-256 digest", "correct the name")
	}
	a := &artifact{digest: digest, hash: hash, opts: opts}
	if refused := v.lacks(ctx, rule, where, a, out.pinned); refused != nil {
		out = *refused
	}
	v.known.put(key, out)
	return out
}

// lacks asks the registry for what a rule needs; nil if it is all there.
func (v *Verifier) lacks(ctx context.Context, rule core.ImageRule, where string, a *artifact, pinned string) *verdict {
	if _, err := remote.Head(a.digest, a.opts...); err != nil {
		return new(unanswered(where, err))
	}
	for _, s := range rule.AllOf {
		if err := v.signedBy(ctx, a, s); err != nil {
			return new(refuse(where, fmt.Sprintf("no valid signature of %s on %s (%s)", signerName(s), a.hash, publicly(err)),
				"a signature by "+signerName(s), remedy(err, "sign it: cosign sign "+pinned)).of(err))
		}
	}
	for _, predicate := range rule.Attestations {
		if err := v.attested(ctx, a, rule.AllOf, predicate); err != nil {
			return new(refuse(where, fmt.Sprintf("no valid attestation %s on %s (%s)", predicate, a.hash, publicly(err)),
				"an attestation by one of the rule's signers", remedy(err, "attest it: cosign attest --type "+predicate+" "+pinned)).of(err))
		}
	}
	return nil
}

func (v *Verifier) attested(ctx context.Context, a *artifact, signers []core.ImageSigner, predicate string) (err error) {
	for _, s := range signers {
		if err = v.attestedBy(ctx, a, s, predicate); err == nil {
			return nil
		}
	}
	return err
}

// digest returns what an image is: the digest that it names, the one that its
// tag was pinned to before, or the one that the registry has for it now.
func (v *Verifier) digest(ref name.Reference, image string, opts []remote.Option) (name.Digest, error) {
	if d, ok := ref.(name.Digest); ok {
		return d, nil
	}
	if digest, ok := v.pins.digest(image); ok {
		return ref.Context().Digest(digest), nil
	}
	desc, err := remote.Head(ref, opts...)
	if err != nil {
		return name.Digest{}, err
	}
	return ref.Context().Digest(desc.Digest.String()), nil
}

// signerName says who a signer is, for people.
func signerName(s core.ImageSigner) string {
	if s.Key == "" {
		return fmt.Sprintf("%s (by %s)", s.Subject, s.Issuer)
	}
	block, _ := pem.Decode([]byte(s.Key))
	if block == nil {
		return "an unreadable key"
	}
	sum := sha256.Sum256(block.Bytes)
	return "the key SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// remedy is what a person can do, unless the reason lies in the configuration.
func remedy(err error, otherwise string) string {
	if errors.Is(err, errNoRoot) {
		return "set images.sigstoreRoot in the daemon's configuration, or tlog: false for a key that needs no log"
	}
	return otherwise
}

func hexBytes(h v1.Hash) ([]byte, error) { return hex.DecodeString(h.Hex) }
