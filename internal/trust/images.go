package trust

import (
	"encoding/pem"
	"errors"
	"io/fs"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"prumo.dev/prumo/internal/core"
)

// Images returns what the policy of a tree says about container images; nil if
// there is no policy or it does not speak of them.
func Images(tree fs.FS) (*core.ImagePolicy, []core.Problem, error) {
	data, err := fs.ReadFile(tree, PolicyPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	p, problems := ParsePolicy(PolicyPath, data)
	if len(problems) > 0 {
		return nil, problems, nil
	}
	return p.Images, nil, nil
}

// images reads the section images of a policy.
func (d *decoder) images(n *yaml.Node) *core.ImagePolicy {
	p := &core.ImagePolicy{}
	f := d.fields(n, "images", "rules!", "fields")
	if f["rules"] != nil {
		items := d.list(f["rules"], "rules of images")
		if len(items) == 0 {
			d.fail(f["rules"], "rules of images is empty: nothing could run; write a rule, or leave images out to verify none")
		}
		for _, item := range items {
			p.Rules = append(p.Rules, d.imageRule(item))
		}
	}
	if f["fields"] != nil {
		for _, item := range d.list(f["fields"], "fields of images") {
			p.Fields = append(p.Fields, d.imageField(item))
		}
	}
	return p
}

var (
	imageMatch   = regexp.MustCompile(`^(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+|[a-z0-9.-]+:[0-9]+)(/[a-z0-9._*-]+)+$`)
	imageDigest  = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	imageKind    = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*(\.[a-z0-9.-]+)?$`)
	imagePath    = regexp.MustCompile(`^[A-Za-z0-9_-]+(\[\*\])?(\.[A-Za-z0-9_-]+(\[\*\])?)*$`)
	predicateURL = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:\S+$`)
)

func (d *decoder) imageRule(n *yaml.Node) core.ImageRule {
	r := core.ImageRule{Pos: core.Pos{File: d.file, Line: n.Line, Col: n.Column}}
	f := d.fields(n, "image rule", "match!", "allOf", "attestations", "digests")
	if m := f["match"]; m != nil {
		r.Match = d.text(m, "match")
		if !imageMatch.MatchString(r.Match) || strings.Contains(strings.TrimSuffix(r.Match, "/**"), "**") {
			d.fail(m, "match %q must be a registry and a repository in full, such as registry.lab.example/ml/* (one level) or registry.lab.example/ml/** (all below)", r.Match)
		}
	}
	if (f["allOf"] == nil) == (f["digests"] == nil) {
		d.fail(n, "image rule needs either allOf (who must have signed) or digests (what may run)")
	}
	if f["allOf"] != nil {
		r.AllOf = d.imageSigners(f["allOf"])
	}
	if a := f["attestations"]; a != nil {
		if f["allOf"] == nil {
			d.fail(a, "attestations need allOf: a digest is allowed whatever is attested of it")
		}
		r.Attestations = d.texts(a, "attestations", predicateURL, "a predicate type, such as https://slsa.dev/provenance/v1")
	}
	if f["digests"] != nil {
		r.Digests = d.texts(f["digests"], "digests", imageDigest, "sha256: and 64 hexadecimal digits")
	}
	return r
}

// texts reads a list of strings of one form. An empty one is a mistake: it looks
// like a demand and makes none.
func (d *decoder) texts(n *yaml.Node, what string, form *regexp.Regexp, want string) []string {
	var out []string
	for _, item := range d.list(n, what) {
		s := d.text(item, "an item of "+what)
		if !form.MatchString(s) {
			d.fail(item, "%q in %s must be %s", s, what, want)
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		d.fail(n, "%s is empty; leave it out, or name at least one", what)
	}
	return out
}

func (d *decoder) imageSigners(n *yaml.Node) []core.ImageSigner {
	var out []core.ImageSigner
	for _, item := range d.list(n, "allOf") {
		f := d.fields(item, "image signer", "key", "tlog", "keyless")
		var s core.ImageSigner
		switch {
		case (f["key"] == nil) == (f["keyless"] == nil):
			d.fail(item, "image signer needs either key (a public key in PEM) or keyless (issuer and subject)")
		case f["key"] != nil:
			s = d.imageKey(f["key"], f["tlog"])
		default:
			if f["tlog"] != nil {
				d.fail(f["tlog"], "a keyless signature always needs its entry in the transparency log; tlog is for keys")
			}
			id := d.fields(f["keyless"], "keyless", "issuer!", "subject!")
			s.Issuer, s.Subject = d.nonEmpty(id["issuer"], "issuer"), d.nonEmpty(id["subject"], "subject")
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		d.fail(n, "allOf is empty: it would let everything in; name at least one signer")
	}
	return out
}

func (d *decoder) imageKey(key, tlog *yaml.Node) core.ImageSigner {
	s := core.ImageSigner{Key: d.text(key, "key")}
	block, rest := pem.Decode([]byte(s.Key))
	if block == nil || block.Type != "PUBLIC KEY" || strings.TrimSpace(string(rest)) != "" {
		d.fail(key, "key must be one public key in PEM, as `cosign public-key` prints it")
	}
	if tlog != nil {
		if tlog.ShortTag() != "!!bool" || (tlog.Value != "true" && tlog.Value != "false") {
			d.fail(tlog, "tlog must be true or false")
		}
		s.NoTlog = tlog.Value == "false"
	}
	return s
}

// nonEmpty returns a text that says something: an empty identity matches all.
func (d *decoder) nonEmpty(n *yaml.Node, what string) string {
	if n == nil {
		return "" // noted as missing
	}
	s := d.text(n, what)
	if strings.TrimSpace(s) == "" {
		d.fail(n, "%s is empty: it would match everybody; write it in full", what)
	}
	return s
}

func (d *decoder) imageField(n *yaml.Node) core.ImageField {
	var out core.ImageField
	f := d.fields(n, "image field", "kind!", "paths!")
	if k := f["kind"]; k != nil {
		if out.Kind = d.text(k, "kind"); !imageKind.MatchString(out.Kind) {
			d.fail(k, "kind %q must be Kind or Kind.group, such as RayCluster.ray.io", out.Kind)
		}
	}
	if f["paths"] != nil {
		out.Paths = d.texts(f["paths"], "paths", imagePath, "field names joined by dots, [*] for each item of a list, such as spec.workers[*].image")
	}
	return out
}
