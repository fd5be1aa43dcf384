package trust

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// approvals is where approvals lie: refs/tags/approve/TREE/PRINCIPAL.
const approvals = "approve/"

// ApprovalRef is the full name of the tag by which a principal approves a commit
// with the tree.
func ApprovalRef(tree, principal string) string {
	return "refs/tags/" + approvals + tree + "/" + principal
}

// ApprovalBody is what an approval must say, to the byte. It names all that the
// approval is bound to, so that it serves for nothing else: not for another repo
// or branch, and not for the same files on top of other ones.
func (a *Anchor) ApprovalBody(c *git.Commit) string {
	base := ""
	if len(c.Parents) > 0 {
		base = c.Parents[0]
	}
	return fmt.Sprintf("repo: %s\nref: %s\nbase: %s\ncommit: %s\ntree: %s\n", a.Repo, a.Ref, base, c.ID, c.Tree)
}

// A panel counts who stands behind a commit by one keyring: the one who signed
// it and those who approved it, each person once.
type panel struct {
	w      *walk
	c      *git.Commit // nil if the tags are no approvals of a commit
	ring   keyring
	where  string // the ring, for people
	signer string // of the commit

	// What a tag must be about, what it must say, and where that of a principal is.
	object, body string
	ref          func(name string) string
	votes        map[string]vote // by principal
}

// A vote is what became of the approval of one principal.
type vote struct {
	counts  bool
	ignored string // why an approval that is there does not count
}

func (w *walk) panel(c *git.Commit, ring keyring, where, signer string) *panel {
	return &panel{w: w, c: c, ring: ring, where: where, signer: signer, object: c.ID, body: w.anchor.ApprovalBody(c),
		ref: func(name string) string { return ApprovalRef(c.Tree, name) }, votes: map[string]vote{}}
}

// A quorum is how many of whom must stand behind a change.
type quorum struct {
	need     int
	of       []string // principals who count, sorted
	distinct bool     // the signature of the commit itself does not count
}

// reach returns who approved the commit, and a refusal if they and its signer
// are not enough.
func (p *panel) reach(q quorum, rule string) ([]string, *core.Refusal) {
	counted := 0
	_, signs := slices.BinarySearch(q.of, p.signer)
	if signs && !q.distinct {
		counted++
	}
	if counted >= q.need {
		return nil, nil
	}
	approvers, ignored := p.count(q.of)
	if counted += len(approvers); counted >= q.need {
		return approvers, nil
	}
	return approvers, p.short(q, rule, counted, approvers, ignored)
}

// count returns who of some principals has signed a tag that counts, and why
// other tags do not.
func (p *panel) count(of []string) (by, ignored []string) {
	for _, name := range of {
		if name == p.signer {
			continue // counted once, however many keys
		}
		v, seen := p.votes[name]
		if !seen {
			v = p.vote(name)
			p.votes[name] = v
		}
		if v.counts {
			by = append(by, name)
		} else if v.ignored != "" {
			ignored = append(ignored, v.ignored)
		}
	}
	return by, ignored
}

// vote looks for the approval of one principal. Whatever is wrong with it, it
// does not count and harms nothing else.
func (p *panel) vote(name string) vote {
	if p.w.anchor.Repo == "" {
		return vote{} // bound to nothing
	}
	ref := p.ref(name)
	tag, err := p.w.h.Tag(ref)
	switch bad, isBad := errors.AsType[*git.BadObject](err); {
	case errors.Is(err, git.ErrNotFound):
		return vote{}
	case isBad:
		return vote{ignored: fmt.Sprintf("the approval of %s is ignored: %s", name, bad.Reason)}
	case err != nil:
		return vote{ignored: fmt.Sprintf("the approval of %s cannot be read: %v", name, err)}
	}
	if why := p.examine(tag, ref, name); why != "" {
		return vote{ignored: fmt.Sprintf("the approval of %s is ignored: %s", name, why)}
	}
	return vote{counts: true}
}

// examine says what is wrong with an approval, if so.
func (p *panel) examine(tag *git.Tag, ref, name string) string {
	owner, why := p.read(tag, ref)
	if why == "" && owner != name {
		return "it was signed by " + owner
	}
	return why
}

// read returns who signed a tag, or what is wrong with it.
func (p *panel) read(tag *git.Tag, ref string) (owner, why string) {
	pr, why := p.form(tag, ref)
	if why != "" {
		return "", why
	}
	k, refusal := p.w.identify(p.ring, p.where, pr, tag.Payload, p.w.now)
	if refusal = p.w.abide(tag.ID, tag.Payload, pr, []keyring{p.ring}, refusal); refusal != nil {
		return "", refusal.Code + ": " + refusal.Found
	}
	return k.owner, ""
}

// form returns the signature of a tag, or why the tag is none of those that are
// counted. The tagger counts for nothing: only the signature says who it was.
func (p *panel) form(tag *git.Tag, ref string) (pr proof, why string) {
	switch {
	case "refs/tags/"+tag.Name != ref:
		return nil, "it was signed under another name, " + quote(tag.Name)
	case tag.Object != p.object:
		return nil, fmt.Sprintf("it is about another commit, %.10s", tag.Object)
	case tag.Message != p.body:
		return nil, "its text is not the one that it must have, line by line: " + quote(p.body)
	}
	pr, refusal := parseProof(&git.Commit{Signature: tag.Signature})
	if refusal != nil {
		return nil, refusal.Code + ": " + refusal.Found
	}
	return pr, ""
}

// short is the refusal of a commit that too few stand behind.
func (p *panel) short(q quorum, rule string, counted int, approvers, ignored []string) *core.Refusal {
	found := fmt.Sprintf("%d of %d: ", counted, q.need)
	switch _, signs := slices.BinarySearch(q.of, p.signer); {
	case !signs:
		found += p.signer + " signed it and does not count here"
	case q.distinct:
		found += p.signer + " signed it, and only approvals by others count"
	default:
		found += p.signer + " signed it"
	}
	if len(approvers) > 0 {
		found += ", " + strings.Join(approvers, ", ") + " approved it"
	}
	found = strings.Join(append([]string{found}, ignored...), "; ")
	missing := slices.DeleteFunc(slices.Clone(q.of), func(name string) bool {
		return name == p.signer || slices.Contains(approvers, name)
	})
	label := "rule " + rule
	if rule == ruleRoot {
		label = "the root principals"
	}
	r := &core.Refusal{
		Code:   CodeThreshold,
		Rule:   rule,
		Found:  found,
		Needed: fmt.Sprintf("%d of %s (%s of %s)", q.need, strings.Join(q.of, ", "), label, p.where),
		Remedy: fmt.Sprintf("let %d more of %s approve the commit: %s", q.need-counted, strings.Join(missing, ", "), p.w.anchor.approveCommand(p.c)),
	}
	if p.w.anchor.Repo == "" {
		r.Remedy = "put repo: {id: …, ref: refs/heads/…} into the trust file: approvals are bound to it, and none counts without"
	}
	return r
}

// approveCommand is the line by which a person approves a commit.
func (a *Anchor) approveCommand(c *git.Commit) string {
	return tagCommand(a.ApprovalBody(c), approvals+c.Tree+"/YOU", c.ID)
}

// tagCommand signs a tag with a text and pushes it.
func tagCommand(body, tag, object string) string {
	return fmt.Sprintf(`printf '%s' | git tag -s -F - %s %s && git push ORIGIN %s`, strings.ReplaceAll(body, "\n", `\n`), tag, object, tag)
}

// MissingApprovals tells which tags could help a verdict that was refused for
// too few approvals: a match for full ref names, nil if none could. Nothing else
// needs to be fetched, however many tags there are.
func (v *Verifier) MissingApprovals(ctx context.Context, h History, verdict core.Verdict) (func(ref string) bool, error) {
	trees, people := map[string]bool{}, map[string]bool{}
	for _, name := range v.anchor.roots {
		people[name] = true
	}
	w := v.walk(h)
	for _, line := range verdict.Commits {
		if line.Refusal == nil || line.Refusal.Code != CodeThreshold {
			continue
		}
		c, err := h.Commit(line.Commit)
		if err != nil {
			return nil, err
		}
		trees[c.Tree] = true
		for _, judge := range append([]string{verdict.From}, c.Parents...) {
			p, refusal, err := w.policy(ctx, judge)
			if err != nil || refusal != nil {
				return nil, err
			}
			for name := range p.people {
				people[name] = true
			}
		}
	}
	if len(trees) == 0 || v.anchor.Repo == "" {
		return nil, nil
	}
	return func(ref string) bool {
		rest, ok := strings.CutPrefix(ref, "refs/tags/"+approvals)
		tree, name, _ := strings.Cut(rest, "/")
		return ok && trees[tree] && people[name]
	}, nil
}
