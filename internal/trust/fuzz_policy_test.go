package trust

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// again writes a YAML file as YAML's own printer does. What it says must stay the
// same, however it is spelled.
func again(t *testing.T, data []byte) []byte {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatalf("accepted, but not readable as YAML: %v", err)
	}
	out, err := yaml.Marshal(&doc)
	if err != nil || len(out) > maxFile {
		t.Skip("cannot be printed")
	}
	return out
}

// said is all that a policy says, without where it says it.
func (p *Policy) said() string {
	images := ""
	if p.Images != nil {
		rules := slices.Clone(p.Images.Rules)
		for i := range rules {
			rules[i].Pos = core.Pos{}
		}
		images = fmt.Sprintf("%+v %+v", rules, p.Images.Fields)
	}
	return fmt.Sprintf("%d\n%v\n%v\n%+v\n%v\n%s\n%s", p.Version, p.people, p.groups, p.rules, p.merge, images, p.ring.said())
}

func (ring keyring) said() string {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(ring)) {
		k := ring[id]
		fmt.Fprintf(&b, "%q: %s %s %v %v %v\n", id, k.owner, k.name, k.purposes, k.notBefore, k.notAfter)
	}
	return b.String()
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte(header + aPeople + aRules))
	f.Add([]byte(header + "a: &a [*a]"))
	f.Add([]byte(imagesOf("images:\n  rules:\n    - match: r.example/ml/**\n      allOf: [{key: %K, tlog: false}]\n  fields: [{kind: Ray.ray.io, paths: [\"a[*].b\"]}]\n")))
	f.Add([]byte(header + strings.Replace(aPeople, "}]", ", namespaces: [git], notAfter: '2030-01-01T00:00:00Z'}]", 1) +
		"groups: {g: [ana]}\n" + strings.Replace(aRules, "[ana]", "[g], ops: [modify], humans: true", 1) + "merge: {signers: [g]}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, problems := ParsePolicy("p.yaml", data)
		if (p == nil) == (len(problems) == 0) {
			t.Fatalf("got policy %v and problems %v; want exactly one of them", p, problems)
		}
		if p == nil {
			return
		}
		for _, r := range p.rules {
			if len(r.signers) == 0 || len(r.paths) == 0 || r.quorum.need < 1 || r.quorum.need > len(r.quorum.of) {
				t.Fatalf("a rule that nobody or everybody meets was accepted: %+v", r)
			}
		}
		same, problems := ParsePolicy("p.yaml", again(t, data))
		if same == nil {
			t.Fatalf("printed again it has problems: %v", problems)
		}
		if diff := cmp.Diff(p.said(), same.said()); diff != "" {
			t.Errorf("printed again it says something else (-first +again):\n%s", diff)
		}
	})
}

func FuzzParseAnchor(f *testing.F) {
	begin := "apiVersion: prumo.dev/v1alpha1\nkind: TrustAnchor\nintroduction: 0123456789abcdef0123456789abcdef01234567\nroot: {threshold: 1, principals: {ana: {keys: [{ssh: '" + keyAna + "'}]}}}\n"
	f.Add([]byte(begin))
	f.Add([]byte(begin + "repo: {id: 'https://g.example/i', ref: refs/heads/main}\nrevoked: {openpgp: [\"0123 4567 89ab cdef 0123 4567 89ab cdef 0123 4567\"], keyless: [{issuer: 'https://i.example', subject: a}]}\nlimits: {commits: 7}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, problems := ParseAnchor("trust.yaml", data)
		if (a == nil) == (len(problems) == 0) {
			t.Fatalf("got anchor %v and problems %v; want exactly one of them", a, problems)
		}
		if a == nil {
			return
		}
		if len(a.roots) == 0 || len(a.ring) == 0 || a.need < 1 || a.need > len(a.roots) {
			t.Fatalf("an anchor that nobody or everybody meets was accepted: %+v", a)
		}
		same, problems := ParseAnchor("trust.yaml", again(t, data))
		if same == nil {
			t.Fatalf("printed again it has problems: %v", problems)
		}
		said := func(a *Anchor) string {
			return fmt.Sprint(a.Introduction, a.Commits, a.Repo, a.Ref, a.need, a.roots, a.revoked, a.ring.said())
		}
		if diff := cmp.Diff(said(a), said(same)); diff != "" {
			t.Errorf("printed again it says something else (-first +again):\n%s", diff)
		}
	})
}

// FuzzBodies: what approvals and overrides must say names everything once, so
// that no two of them say the same.
func FuzzBodies(f *testing.F) {
	id := strings.Repeat("a", 40)
	f.Add("https://git.example/infra", "refs/heads/main", id, id, id)
	f.Add("git@git.example:infra", "refs/heads/a/b", "", id, id)
	f.Fuzz(func(t *testing.T, repo, ref, base, commit, tree string) {
		if !repoID.MatchString(repo) || !branchName.MatchString(ref) || base != "" && !commitID.MatchString(base) ||
			!commitID.MatchString(commit) || !commitID.MatchString(tree) {
			return // a trust file and package git let nothing else in
		}
		a := &Anchor{Repo: repo, Ref: ref}
		c := &git.Commit{ID: commit, Tree: tree}
		if base != "" {
			c.Parents = []string{base}
		}
		approval := map[string]string{"repo": repo, "ref": ref, "base": base, "commit": commit, "tree": tree}
		override := map[string]string{"repo": repo, "ref": ref, "from": base, "to": commit}
		for body, want := range map[string]map[string]string{a.ApprovalBody(c): approval, a.OverrideBody(base, commit): override} {
			got := map[string]string{}
			for line := range strings.Lines(body) {
				name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
				if _, twice := got[name]; !ok || twice {
					t.Fatalf("not one value a line: %q", body)
				}
				got[name] = value
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", body, diff)
			}
		}
	})
}

// FuzzGlob holds the table that matches paths to what a pattern means, said in
// the plainest way.
func FuzzGlob(f *testing.F) {
	f.Add("a/**/b*.yaml", "a/x/y/b1.yaml")
	f.Add("**", "a")
	f.Add("*/?/**/**/c", "x/y/c")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		g, err := parseGlob(pattern)
		if err != nil || len(g) > 6 {
			return
		}
		segs := strings.Split(name, "/")
		if len(segs) > 6 || len(name) > 40 {
			return
		}
		if strings.Join(g, "/") != pattern {
			t.Errorf("read %q, wrote %q", pattern, strings.Join(g, "/"))
		}
		if got, want := g.match(name), matchPlainly(g, segs); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, name, got, want)
		}
	})
}

func matchPlainly(g glob, segs []string) bool {
	if len(g) == 0 {
		return len(segs) == 0
	}
	if g[0] != "**" {
		if len(segs) == 0 {
			return false
		}
		ok, err := path.Match(g[0], segs[0])
		return ok && err == nil && matchPlainly(g[1:], segs[1:])
	}
	least := 0
	if len(g) == 1 {
		least = 1
	}
	for n := least; n <= len(segs); n++ {
		if matchPlainly(g[1:], segs[n:]) {
			return true
		}
	}
	return false
}
