package trust

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"prumo.dev/prumo/internal/core"
)

// soon is how long before its end a key is worth a word.
const soon = 30 * 24 * time.Hour

// LintPolicy says what is allowed in a policy but probably not meant: people,
// groups and rules without effect, files that nobody may change, keys about to
// expire. files are the paths of the tree that the policy is for. A policy that
// does not parse has no warnings, but problems (ParsePolicy).
func LintPolicy(file string, data []byte, files []string, now time.Time) []core.Problem {
	p, _ := ParsePolicy(file, data)
	if p == nil {
		return nil
	}
	// A Policy keeps no places, since judging needs none; they are read once more.
	l := &linter{decoder: decoder{file: file}, policy: p, now: now}
	root := l.document(data, "TrustPolicy")
	l.people(value(root, "principals"))
	l.groups(value(root, "groups"), append(value(root, "rules").Content, value(root, "merge")))
	l.rules(value(root, "rules"), files)
	return l.done()
}

type linter struct {
	decoder
	policy *Policy
	now    time.Time
}

func (l *linter) people(n *yaml.Node) {
	for _, e := range l.entries(n, "principals") {
		name := e.key.Value
		if !slices.ContainsFunc(l.policy.rules, func(r rule) bool { return slices.Contains(r.signers, name) }) {
			l.fail(e.key, "no rule names %s, neither directly nor by a group: what %s signs is refused; name %s in a rule or remove the principal", name, name, name)
		}
		for _, k := range value(e.value, "keys").Content {
			l.expiry(name, value(k, "notAfter"))
		}
	}
}

func (l *linter) expiry(name string, n *yaml.Node) {
	if n == nil {
		return
	}
	switch end := l.instant(n, "notAfter"); {
	case !l.now.Before(end):
		l.fail(n, "this key of %s has expired; remove it, or give %s a new one", name, name)
	case end.Sub(l.now) < soon:
		l.fail(n, "this key of %s expires in %d days; add its successor now, while the old one can still sign", name, int(end.Sub(l.now).Hours()/24))
	}
}

// groups wants each group named among the signers of something.
func (l *linter) groups(n *yaml.Node, users []*yaml.Node) {
	if n == nil {
		return
	}
	used := map[string]bool{}
	for _, u := range users {
		if signers := value(u, "signers"); signers != nil {
			for _, s := range signers.Content {
				used[s.Value] = true
			}
		}
	}
	for _, e := range l.entries(n, "groups") {
		if !used[e.key.Value] {
			l.fail(e.key, "no rule names the group %s; name it among the signers of a rule, or remove it", e.key.Value)
		}
	}
}

func (l *linter) rules(n *yaml.Node, files []string) {
	matched := map[string]bool{}
	for i, r := range l.policy.rules {
		hits := 0
		for _, f := range files {
			if r.speaksOf(f) {
				matched[f] = true
				hits++
			}
		}
		if hits == 0 {
			l.fail(value(n.Content[i], "paths"), "rule %s speaks of no file of this tree; see that its paths are spelled as git ls-files prints them", r.name)
		}
	}
	var open []string
	for _, f := range files {
		if first, _, _ := strings.Cut(f, "/"); !matched[f] && !strings.EqualFold(first, PolicyDir) {
			open = append(open, f)
		}
	}
	if len(open) > 0 {
		l.fail(n, "no rule speaks of %s, so nobody may change that; add a rule for it, or move it", some(open))
	}
}

// some names the first few of many.
func some(names []string) string {
	const most = 5
	var b strings.Builder
	for i, n := range names[:min(len(names), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(n))
	}
	if more := len(names) - most; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}

// value returns the value of a key of a mapping, or nil.
func value(n *yaml.Node, key string) *yaml.Node {
	if n == nil {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}
