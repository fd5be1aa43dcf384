package trust

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// A freshness says how old the newest heartbeat may be: a tag that somebody who
// sees the real branch signs anew from time to time. A remote that withholds
// commits cannot make one.
type freshness struct {
	tag    string  // full ref name
	ring   keyring // whose heartbeats count
	maxAge time.Duration
	freeze bool // obey nothing new without it; else only warn
}

// A Heartbeat is the newest one that was seen.
type Heartbeat struct {
	Time time.Time `json:"time"` // as the tag says, whose signer is trusted with that
	Tag  string    `json:"tag"`  // id of the tag
}

// parseFreshness reads the section of the trust file.
func (a *Anchor) parseFreshness(d *decoder, n *yaml.Node) {
	f := d.fields(n, "freshness", "heartbeatTag!", "signers!", "maxAge!", "onStale")
	fresh := &freshness{freeze: true}
	if t := f["heartbeatTag"]; t != nil {
		if fresh.tag = d.text(t, "heartbeatTag"); !tagName.MatchString(fresh.tag) {
			d.fail(t, "heartbeatTag is %q; it is the full name of a tag, such as refs/tags/prumo-heartbeat", fresh.tag)
		}
	}
	if s := f["signers"]; s != nil {
		if _, fresh.ring = d.principals(s, "signers of freshness"); len(fresh.ring) == 0 {
			d.fail(s, "freshness needs a signer: without one no heartbeat counts")
		}
	}
	if m := f["maxAge"]; m != nil {
		var err error
		if fresh.maxAge, err = time.ParseDuration(d.text(m, "maxAge")); err != nil || fresh.maxAge < time.Minute {
			d.fail(m, "maxAge must be a duration of a minute or more, such as 24h")
		}
	}
	if o := f["onStale"]; o != nil {
		word := d.text(o, "onStale")
		if fresh.freeze = word == "freeze"; !fresh.freeze && word != "report" {
			d.fail(o, "onStale is %q; it is freeze (obey nothing new) or report (obey and warn)", word)
		}
	}
	if a.Repo == "" {
		d.fail(n, "heartbeats are bound to a repo: add repo: {id: …, ref: refs/heads/…}")
	}
	a.fresh = fresh
}

// HeartbeatBody is what a heartbeat for a commit must say, to the byte.
func (a *Anchor) HeartbeatBody(commit string) string {
	return fmt.Sprintf("repo: %s\nref: %s\ncommit: %s\n", a.Repo, a.Ref, commit)
}

// HeartbeatTag matches the ref of the heartbeat; nil if none is asked for.
func (v *Verifier) HeartbeatTag() func(ref string) bool {
	if v.anchor.fresh == nil {
		return nil
	}
	return func(ref string) bool { return ref == v.anchor.fresh.tag }
}

// Freezes reports whether nothing new may be obeyed without a fresh heartbeat.
func (v *Verifier) Freezes() bool { return v.anchor.fresh != nil && v.anchor.fresh.freeze }

// A Beat is the heartbeat that a remote shows, not judged yet.
type Beat struct {
	tag *git.Tag // nil: none, or one that breaks the grammar
	bad string   // how it breaks it
}

// Beat reads the heartbeat that was fetched.
func (v *Verifier) Beat(h History) (Beat, error) {
	if v.anchor.fresh == nil {
		return Beat{}, nil
	}
	tag, err := h.Tag(v.anchor.fresh.tag)
	switch bad, isBad := errors.AsType[*git.BadObject](err); {
	case errors.Is(err, git.ErrNotFound):
		return Beat{}, nil
	case isBad:
		return Beat{bad: bad.Reason}, nil
	}
	return Beat{tag: tag}, err
}

// Fresh judges the heartbeat that a remote shows with a tip. before is the newest
// that was seen until now; the newest now is returned even with a refusal.
func (v *Verifier) Fresh(ctx context.Context, h History, shown Beat, before Heartbeat, tip string) (Heartbeat, *core.Refusal, error) {
	if v.anchor.fresh == nil {
		return before, nil, nil
	}
	w, tag := v.walk(h), shown.tag
	switch {
	case shown.bad != "":
		return before, w.badHeartbeat(tip, shown.bad), nil
	case tag == nil:
		return before, w.age(before, "the remote has no "+v.anchor.fresh.tag), nil
	}
	if refusal := w.heartbeat(tag, before, tip); refusal != nil {
		return before, refusal, nil
	}
	newest := Heartbeat{Time: tag.Tagger.When.UTC(), Tag: tag.ID}
	_, err := h.Range(ctx, tag.Object, tip)
	switch {
	case errors.Is(err, git.ErrNotDescendant), errors.Is(err, git.ErrNotFound):
		return newest, w.stale(tip, fmt.Sprintf("the heartbeat of %s names %.10s, which the branch as it is served does not contain: newer commits are withheld, or the branch was set back",
			newest.Time.Format(time.RFC3339), tag.Object)), nil
	case err != nil:
		return newest, nil, err
	}
	return newest, w.age(newest, "it is not renewed"), nil
}

// heartbeat says what is wrong with a heartbeat itself, if so.
func (w *walk) heartbeat(tag *git.Tag, before Heartbeat, tip string) *core.Refusal {
	p := &panel{w: w, ring: w.anchor.fresh.ring, where: "freshness in the trust file", object: tag.Object, body: w.anchor.HeartbeatBody(tag.Object)}
	_, why := p.read(tag, w.anchor.fresh.tag)
	when := tag.Tagger.When.UTC()
	switch {
	case why != "":
		return w.badHeartbeat(tip, why)
	case when.After(w.now.Add(clockSkew)):
		return on(futureDate("the heartbeat", when), tip)
	case when.Before(before.Time), when.Equal(before.Time) && tag.ID != before.Tag:
		return w.badHeartbeat(tip, fmt.Sprintf("it is of %s, and one of %s was seen before: an old one is shown again",
			when.Format(time.RFC3339), before.Time.UTC().Format(time.RFC3339)))
	}
	return nil
}

// age refuses when the newest heartbeat is too old.
func (w *walk) age(newest Heartbeat, why string) *core.Refusal {
	if w.now.Sub(newest.Time) <= w.anchor.fresh.maxAge {
		return nil
	}
	last := "none was ever seen"
	if !newest.Time.IsZero() {
		last = "the newest is of " + newest.Time.UTC().Format(time.RFC3339)
	}
	return w.stale("", last+"; "+why)
}

func (w *walk) stale(commit, found string) *core.Refusal {
	return &core.Refusal{
		Code:   CodeStale,
		Commit: commit,
		Rule:   "freshness",
		Found:  found,
		Needed: fmt.Sprintf("a heartbeat of the last %v, of a commit of the branch (freshness in the trust file)", w.anchor.fresh.maxAge),
		Remedy: "look at the branch by another way than this remote; if all is there, see why nobody renews the heartbeat: " + w.anchor.heartbeatCommand(),
	}
}

func (w *walk) badHeartbeat(commit, found string) *core.Refusal {
	return &core.Refusal{
		Code:   CodeHeartbeat,
		Commit: commit,
		Rule:   "freshness",
		Found:  "the heartbeat does not count: " + found,
		Needed: "an annotated tag " + w.anchor.fresh.tag + ", signed by a signer of freshness in the trust file, newer than all before",
		Remedy: "find out who wrote this tag, and renew it: " + w.anchor.heartbeatCommand(),
	}
}

// heartbeatCommand is the line by which a bot renews the heartbeat.
func (a *Anchor) heartbeatCommand() string {
	tag, branch := strings.TrimPrefix(a.fresh.tag, "refs/tags/"), strings.TrimPrefix(a.Ref, "refs/heads/")
	return fmt.Sprintf(`c=$(git rev-parse ORIGIN/%s) && printf '%s' $c | git tag -s -f -F - %s $c && git push -f ORIGIN %s`,
		branch, strings.ReplaceAll(a.HeartbeatBody("%s"), "\n", `\n`), tag, tag)
}
