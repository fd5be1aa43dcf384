package trust

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"prumo.dev/prumo/internal/core"
)

// PolicyDir is the directory of the repo that only root principals may change,
// PolicyPath the policy in it.
const (
	PolicyDir  = ".prumo"
	PolicyPath = PolicyDir + "/policy.yaml"
)

// A Policy says who may sign which paths. It is data: nothing in it runs, and
// nothing outside the file changes what it means.
type Policy struct {
	// Version is one higher with each change, so that an old policy, though once
	// signed by the right people, cannot come back (CVE-2026-44544).
	Version int

	// Images says which container images may run; nil: all may.
	Images *core.ImagePolicy

	digest   [sha256.Size]byte // of the file
	ring     keyring
	people   map[string]string   // principal -> human or bot
	groups   map[string][]string // group -> principals
	rules    []rule
	merge    []string // who may sign merges, sorted; empty: everyone
	namesRef bool     // commits name the branch that they are for: see trunk
}

// A rule allows some principals some operations on some paths.
type rule struct {
	name    string
	paths   []glob
	except  []glob
	ops     []string // empty: all
	signers []string // principals, groups expanded, sorted
	quorum  quorum   // who must stand behind a change
}

// ParsePolicy reads .prumo/policy.yaml (kind TrustPolicy). It returns no Policy
// if there is any problem. file is for messages only.
func ParsePolicy(file string, data []byte) (*Policy, []core.Problem) {
	d := &decoder{file: file}
	root := d.document(data, "TrustPolicy")
	if root == nil {
		return nil, d.done()
	}
	p := &Policy{digest: sum(data), people: map[string]string{}, groups: map[string][]string{}}
	f := d.header(root, "TrustPolicy", "version!", "principals!", "groups", "rules!", "merge", "namesRef", "images")
	if n := f["version"]; n != nil {
		p.Version = d.integer(n, "version", 1)
	}
	if n := f["principals"]; n != nil {
		p.parsePrincipals(d, n)
	}
	if n := f["groups"]; n != nil {
		p.parseGroups(d, n)
	}
	if n := f["rules"]; n != nil {
		p.parseRules(d, n)
	}
	if n := f["images"]; n != nil {
		p.Images = d.images(n)
	}
	if n := f["merge"]; n != nil {
		if m := d.fields(n, "merge", "signers!"); m["signers"] != nil {
			p.merge = p.signers(d, m["signers"], ruleMerge)
		}
	}
	if n := f["namesRef"]; n != nil {
		p.namesRef = d.boolean(n, "namesRef")
	}
	if problems := d.done(); len(problems) > 0 {
		return nil, problems
	}
	return p, nil
}

func (p *Policy) parsePrincipals(d *decoder, n *yaml.Node) {
	people, ring := d.principals(n, "principals", "kind!")
	p.ring = ring
	for name, node := range people {
		p.people[name] = ""
		for _, e := range d.entries(node, "principal "+name) {
			if e.key.Value != "kind" {
				continue
			}
			if p.people[name] = e.value.Value; e.value.Value != "human" && e.value.Value != "bot" {
				d.fail(e.value, "kind of %s is %q; it is human or bot", name, e.value.Value)
			}
		}
	}
}

func (p *Policy) parseGroups(d *decoder, n *yaml.Node) {
	for _, e := range d.entries(n, "groups") {
		name := e.key.Value
		if !validName(name) {
			d.fail(e.key, "the name %q of a group must be a word of lower-case letters, digits, - . and _", name)
		}
		if _, taken := p.people[name]; taken {
			d.fail(e.key, "%q is a principal and a group; a signer must mean one of them", name)
		}
		p.groups[name] = []string{}
		for _, item := range d.list(e.value, "group "+name) {
			member := d.text(item, "a member of "+name)
			if _, known := p.people[member]; !known {
				d.fail(item, "group %s names %q, which is no principal of this policy", name, member)
			}
			p.groups[name] = append(p.groups[name], member)
		}
	}
}

func (p *Policy) parseRules(d *decoder, n *yaml.Node) {
	names := map[string]bool{}
	for _, item := range d.list(n, "rules") {
		f := d.fields(item, "rule", "name!", "paths!", "except", "signers!", "threshold", "humans", "distinct", "ops")
		if f["name"] == nil || f["paths"] == nil || f["signers"] == nil {
			continue
		}
		r := rule{name: d.text(f["name"], "name")}
		if !validName(r.name) || r.name == ruleRoot || r.name == ruleIntroduction || r.name == ruleMerge || names[r.name] {
			d.fail(f["name"], "the rule name %q must be a word of its own; %s, %s and %s are taken", r.name, ruleRoot, ruleIntroduction, ruleMerge)
		}
		names[r.name] = true
		r.paths = d.globs(f["paths"], "paths of "+r.name, true)
		if f["except"] != nil {
			r.except = d.globs(f["except"], "except of "+r.name, false)
		}
		r.signers = p.signers(d, f["signers"], r.name)
		r.quorum = p.quorum(d, f, r)
		if f["ops"] != nil {
			r.ops = d.ops(f["ops"], r.name)
		}
		p.rules = append(p.rules, r)
	}
}

// signers expands principals and groups. An empty set is a mistake: it looks
// like a lock but says nothing about who holds the key.
func (p *Policy) signers(d *decoder, n *yaml.Node, rule string) []string {
	set := map[string]bool{}
	for _, item := range d.list(n, "signers of "+rule) {
		name := d.text(item, "a signer of "+rule)
		members, isGroup := p.groups[name]
		_, isPrincipal := p.people[name]
		switch {
		case isGroup:
			for _, m := range members {
				set[m] = true
			}
		case isPrincipal:
			set[name] = true
		default:
			d.fail(item, "rule %s names %q, which is no principal and no group of this policy", rule, name)
		}
	}
	if len(set) == 0 {
		d.fail(n, "rule %s has no signer", rule)
	}
	return slices.Sorted(maps.Keys(set))
}

// quorum reads how many of the signers must stand behind a change, and who counts:
// all of them, or with humans only people. With distinct the commit's own
// signature does not count, only approvals by others.
func (p *Policy) quorum(d *decoder, f map[string]*yaml.Node, r rule) quorum {
	q := quorum{need: 1, of: r.signers}
	if n := f["threshold"]; n != nil {
		q.need = d.integer(n, "threshold", 1)
	}
	if n := f["humans"]; n != nil && d.boolean(n, "humans") {
		q.of = slices.DeleteFunc(slices.Clone(q.of), func(name string) bool { return p.people[name] == "bot" })
	}
	if n := f["distinct"]; n != nil {
		q.distinct = d.boolean(n, "distinct")
	}
	most := len(q.of)
	if q.distinct && most == len(r.signers) {
		most-- // whoever signs is one of them
	}
	if q.need > most && len(r.signers) > 0 {
		d.fail(f["signers"], "rule %s needs %d, but at most %d of its signers can count: nobody could ever satisfy it", r.name, q.need, most)
	}
	return q
}

func (d *decoder) boolean(n *yaml.Node, what string) bool {
	if n.Kind != yaml.ScalarNode || n.Value != "true" && n.Value != "false" || n.ShortTag() != "!!bool" {
		d.fail(n, "%s must be true or false", what)
	}
	return n.Value == "true"
}

func (d *decoder) globs(n *yaml.Node, what string, needed bool) []glob {
	var out []glob
	items := d.list(n, what)
	if needed && len(items) == 0 {
		d.fail(n, "%s is empty; name at least one path", what)
	}
	for _, item := range items {
		s := d.text(item, "a pattern of "+what)
		g, err := parseGlob(s)
		switch first, _, _ := strings.Cut(s, "/"); {
		case err != nil:
			d.fail(item, "%s: %v", what, err)
		case strings.EqualFold(first, PolicyDir):
			d.fail(item, "%s: %s/ is not the policy's to give away: only root principals of the trust file change it", what, PolicyDir)
		}
		out = append(out, g)
	}
	return out
}

func (d *decoder) ops(n *yaml.Node, rule string) []string {
	var out []string
	for _, item := range d.list(n, "ops of "+rule) {
		op := d.text(item, "an op of "+rule)
		if !slices.Contains([]string{"add", "modify", "delete"}, op) {
			d.fail(item, "rule %s has the op %q; ops are add, modify, delete (a rename is a delete and an add)", rule, op)
		}
		out = append(out, op)
	}
	if len(out) == 0 {
		d.fail(n, "ops of %s is empty; leave it out to mean all", rule)
	}
	return out
}

// signers of a rule, for people.
func (r rule) whoMaySign() string {
	if len(r.signers) == 1 {
		return r.signers[0]
	}
	return fmt.Sprintf("one of %s", strings.Join(r.signers, ", "))
}

func sum(data []byte) [sha256.Size]byte { return sha256.Sum256(data) }
