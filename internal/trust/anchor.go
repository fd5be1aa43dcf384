package trust

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/root"
	"go.yaml.in/yaml/v3"

	"prumo.dev/prumo/internal/core"
)

// defaultCommits is how many commits one verification takes on.
const defaultCommits = 5000

// An Anchor is where trust starts. It comes with the daemon's configuration and
// never from the repo that it judges.
type Anchor struct {
	// Introduction is the first commit that is trusted, 40 hexadecimal digits. It
	// is trusted because it is named here, and need not be signed.
	Introduction string

	// Commits is how many commits one verification takes on at most.
	Commits int

	// Repo and Ref name the history for approvals, which are bound to them: any
	// stable name, such as the URL, and a full ref. Empty: no approval counts.
	Repo, Ref string

	need    int      // of roots, for each change of .prumo/
	roots   []string // principals who may change .prumo/, sorted
	ring    keyring
	revoked map[string]bool // keys and payloads: SHA256:…, SHA256:…/serial, 40 upper-case hexadecimal digits, identity.id, or 64 lower-case hexadecimal digits

	fresh      *freshness           // nil: no heartbeat is asked for
	sigstore   root.TrustedMaterial // pinned; nil: none is
	requireSCT bool                 // the log of the authority must have seen each certificate
}

var (
	commitID   = regexp.MustCompile(`^[0-9a-f]{40}$`)
	sshPrint   = regexp.MustCompile(`^SHA256:[A-Za-z0-9+/]{43}$`)
	certSerial = regexp.MustCompile(`^SHA256:[A-Za-z0-9+/]{43}/(0|[1-9][0-9]{0,19})$`)
	payloadSum = regexp.MustCompile(`^[0-9a-f]{64}$`)
	pgpPrint   = regexp.MustCompile(`^[0-9A-F]{40}$`)
	repoID     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~:/@+-]{0,255}$`)
	tagName    = regexp.MustCompile(`^refs/tags/[A-Za-z0-9][A-Za-z0-9._/-]{0,200}$`)
	branchName = regexp.MustCompile(`^refs/heads/[A-Za-z0-9][A-Za-z0-9._/-]{0,200}$`)
)

// ParseAnchor reads a trust file (kind TrustAnchor). It returns no Anchor if
// there is any problem. file is for messages only.
func ParseAnchor(file string, data []byte) (*Anchor, []core.Problem) {
	d := &decoder{file: file}
	root := d.document(data, "TrustAnchor")
	if root == nil {
		return nil, d.done()
	}
	a := &Anchor{revoked: map[string]bool{}, Commits: defaultCommits}
	f := d.header(root, "TrustAnchor", "introduction!", "repo", "root!", "revoked", "freshness", "sigstore", "limits")
	if n := f["introduction"]; n != nil {
		a.Introduction = n.Value
		if n.Kind != yaml.ScalarNode || !commitID.MatchString(n.Value) {
			d.fail(n, "introduction must be the full id of a commit, 40 lower-case hexadecimal digits, as git rev-parse prints it")
		}
	}
	if n := f["repo"]; n != nil {
		a.parseRepo(d, n)
	}
	if n := f["root"]; n != nil {
		a.parseRoot(d, n)
	}
	if n := f["revoked"]; n != nil {
		a.parseRevoked(d, n)
	}
	if n := f["freshness"]; n != nil {
		a.parseFreshness(d, n)
	}
	if n := f["sigstore"]; n != nil {
		a.parseSigstore(d, n)
	}
	if n := f["limits"]; n != nil {
		if l := d.fields(n, "limits", "commits"); l["commits"] != nil {
			a.Commits = d.integer(l["commits"], "commits", 1)
		}
	}
	if problems := d.done(); len(problems) > 0 {
		return nil, problems
	}
	return a, nil
}

func (a *Anchor) parseRepo(d *decoder, n *yaml.Node) {
	f := d.fields(n, "repo", "id!", "ref!")
	if id := f["id"]; id != nil {
		if a.Repo = d.text(id, "id"); !repoID.MatchString(a.Repo) {
			d.fail(id, "the id %q of the repo must be one plain word, such as its URL: letters, digits and . _ ~ : / @ + -", a.Repo)
		}
	}
	if ref := f["ref"]; ref != nil {
		if a.Ref = d.text(ref, "ref"); !branchName.MatchString(a.Ref) {
			d.fail(ref, "ref is %q; it is the full name of a branch, such as refs/heads/main", a.Ref)
		}
	}
}

func (a *Anchor) parseRoot(d *decoder, n *yaml.Node) {
	f := d.fields(n, "root", "threshold!", "principals!")
	a.need = 1
	if t := f["threshold"]; t != nil {
		a.need = d.integer(t, "threshold", 1)
	}
	if p := f["principals"]; p != nil {
		people, ring := d.principals(p, "principals of root")
		if len(people) == 0 {
			d.fail(p, "root needs a principal: without one nobody could ever change the policy")
		}
		a.roots, a.ring = slices.Sorted(maps.Keys(people)), ring
		if a.need > len(a.roots) && len(a.roots) > 0 {
			d.fail(f["threshold"], "threshold is %d, but root has %d principals: nobody could ever change the policy", a.need, len(a.roots))
		}
	}
	if a.need > 1 && a.Repo == "" {
		d.fail(f["threshold"], "threshold %d needs approvals, and approvals are bound to a repo: add repo: {id: …, ref: refs/heads/…}", a.need)
	}
}

// parseRevoked reads fingerprints. They act at once on all that is not yet
// accepted, whatever a policy says.
func (a *Anchor) parseRevoked(d *decoder, n *yaml.Node) {
	f := d.fields(n, "revoked", "ssh", "sshCertSerials", "openpgp", "keyless", "payloads")
	if f["keyless"] != nil {
		for _, item := range d.list(f["keyless"], "revoked.keyless") {
			if who, ok := d.keyless(item); ok {
				a.revoked[who.id()] = true
			}
		}
	}
	for name, form := range map[string]struct {
		like *regexp.Regexp
		want string
	}{
		"ssh":            {sshPrint, "SHA256:… as ssh-keygen -l prints it"},
		"sshCertSerials": {certSerial, "the authority's SHA256:… as ssh-keygen -l prints it, a slash, and the serial"},
		"openpgp":        {pgpPrint, "40 hexadecimal digits as gpg --fingerprint prints them"},
		// Another armor around a signature makes another id of the same commit; what
		// it says, and is signed, stays the same.
		"payloads": {payloadSum, "the SHA-256 of a commit without its signature, 64 lower-case hexadecimal digits"},
	} {
		if f[name] == nil {
			continue
		}
		for _, item := range d.list(f[name], "revoked."+name) {
			print := item.Value
			if name == "openpgp" {
				print = strings.ToUpper(strings.ReplaceAll(print, " ", ""))
			}
			if item.Kind != yaml.ScalarNode || !form.like.MatchString(print) {
				d.fail(item, "%q is no fingerprint; write %s", item.Value, form.want)
			}
			a.revoked[print] = true
		}
	}
}

// rootNames is "one of ana, ben".
func (a *Anchor) rootNames() string { return fmt.Sprintf("one of %s", strings.Join(a.roots, ", ")) }
