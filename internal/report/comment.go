package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"prumo.dev/prumo/internal/core"
)

// Budgets of a comment in bytes.
const (
	DefaultBudget = 60_000 // GitHub refuses more than 65,536 characters
	minBudget     = 24_000 // what the lines outside any fold may need
)

// A CommentInput is what a pull request's comment tells. Of Refused, Problems
// and Plan any may be absent.
type CommentInput struct {
	Key       string // instance or cluster; tells the plans of several on one pull request apart
	Head      string // commit that is proposed
	Base      string // commit that it would be merged into
	At        time.Time
	Plan      *core.Plan     // what merging would cause
	Drift     *core.Plan     // what was off already
	Problems  []core.Problem // of the proposed specs
	Refused   *core.Verdict  // the head's history may not be obeyed
	Fault     string         // why no plan could be made, though nobody is at fault: "the cluster cannot be reached"
	Offline   bool           // Plan compares the repo with itself: the cluster was not asked, since nobody known signed
	Reproduce string         // command that shows the whole plan, such as "reconciler plan --pr 12"
	Link      string         // address of the whole plan; may be empty
	Budget    int            // bytes; 0 means DefaultBudget; less than 24,000 is taken as that
}

// Marker is what the first line of the comment with a key begins with. A
// comment is ours only if its author is us, too.
func Marker(key string) string { return "<!-- prumo:plan key=" + token(key) + " " }

// Comment writes the comment of a pull request, never longer than its budget.
// Its first line carries the marker, both commits, a hash of all that follows
// (equal hash: nothing to edit) and the time. What deletes, disrupts or blocks
// stands outside any fold; whole differences are left out where room ends.
func Comment(in CommentInput) string {
	budget := max(in.Budget, minBudget)
	if in.Budget == 0 {
		budget = DefaultBudget
	}
	tail := in.tail()
	const markerSize = 500 // at most: see marker
	b := body{room: budget - markerSize - len(tail)}
	b.must(in.title())
	in.refusal(&b)
	in.problems(&b)
	in.plan(&b)
	in.drift(&b)
	text := b.String() + tail
	return in.marker(text) + text
}

func (in CommentInput) marker(text string) string {
	sum := sha256.Sum256([]byte(text))
	m := Marker(in.Key) + fmt.Sprintf("head=%s base=%s hash=%s", token(in.Head), token(in.Base), hex.EncodeToString(sum[:]))
	if !in.At.IsZero() {
		m += " at=" + in.At.UTC().Format(time.RFC3339)
	}
	return m + " -->\n"
}

// token makes a string safe inside the marker: no blank, no end of a comment.
// At most 100 bytes.
func token(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._:/", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() > 100 {
		sum := sha256.Sum256([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	if b.Len() == 0 {
		return "_"
	}
	return b.String()
}

// title is the verdict and the counts.
func (in CommentInput) title() string {
	var parts []string
	if in.Fault != "" {
		parts = append(parts, "**could not be planned**")
	}
	if in.Refused != nil && in.Refused.Refusal != nil {
		parts = append(parts, "**refused: "+prose(short(in.Refused.Refusal.Code, 60))+"**")
	}
	if len(in.Problems) > 0 {
		parts = append(parts, "**"+plural(len(in.Problems), "problem")+"**")
	}
	if in.Offline {
		parts = append(parts, "**offline**")
	}
	if in.Plan != nil {
		parts = append(parts, counts(*in.Plan, func(s string) string { return "**" + s + "**" }))
	}
	t := fmt.Sprintf("### Prumo · %s: %s\n\n", prose(short(in.Key, 60)), strings.Join(parts, " · "))
	t += fmt.Sprintf("%s merged into %s\n", code(shortID(in.Head)), code(shortID(in.Base)))
	if in.Offline {
		t += "\n> [!NOTE]\n> This compares the repo with itself. A commit here is not signed by anybody whom the accepted policy names, " +
			"so the cluster was not asked: sign it to see what would change live.\n"
	}
	if in.Fault != "" {
		t += "\nWhy: " + prose(short(in.Fault, noteWidth)) + "\n"
	}
	return t
}

func (in CommentInput) refusal(b *body) {
	if in.Refused == nil || in.Refused.Refusal == nil {
		return
	}
	b.must("\n> [!CAUTION]\n> Merged as it is, this would not be obeyed.\n\n" + refusalMarkdown(in.Refused))
}

func (in CommentInput) problems(b *body) {
	if len(in.Problems) == 0 {
		return
	}
	b.add("\n**To be mended**\n\n")
	b.rows(problemRows(in.Problems), "- and %d more\n")
}

func (in CommentInput) plan(b *body) {
	if in.Plan == nil || in.Plan.Empty() {
		return
	}
	if rows := attention(*in.Plan); len(rows) > 0 && b.add("\n"+attentionHead) {
		b.rows(rows, "> - and %d more\n")
	}
	var rows []string
	for _, c := range byRisk(in.Plan.Changes) {
		rows = append(rows, tableRow(c))
	}
	if b.add("\n" + tableHead) {
		b.rows(rows, "| | and %d more | | | |\n")
	}
	omitted := 0
	for _, c := range byRisk(in.Plan.Changes) {
		if !b.addFold(c) {
			omitted++
		}
	}
	if omitted > 0 {
		b.must(fmt.Sprintf("\n**%s omitted**%s\n", plural(omitted, "diff"), in.whole()))
	}
}

func (in CommentInput) drift(b *body) {
	if in.Drift == nil || in.Drift.Empty() {
		return
	}
	const end = "\n</details>\n"
	summary := fmt.Sprintf("\n<details><summary>Already drifted, not caused by this pull request: %d (%s)</summary>\n\n",
		len(in.Drift.Changes), driftCounts(*in.Drift))
	if !b.add(summary + "| Drift | Object | Field | Live | Declared | Who |\n|---|---|---|---|---|---|\n" + end) {
		b.must(fmt.Sprintf("\nAlready drifted, not caused by this pull request: %d\n", len(in.Drift.Changes)))
		return
	}
	b.unwrite(end)
	var rows []string
	for _, c := range in.Drift.Changes {
		rows = append(rows, driftRows(c)...)
	}
	b.rows(rows, "| and %d more | | | | | |\n")
	b.must(end)
}

// whole says where the whole plan can be seen.
func (in CommentInput) whole() string {
	if in.Reproduce == "" {
		return ""
	}
	return ", whole plan: " + code(short(in.Reproduce, nameWidth))
}

// tail is the last line: how to see the same at home.
func (in CommentInput) tail() string {
	var parts []string
	if in.Reproduce != "" {
		parts = append(parts, "To see it at home: "+code(short(in.Reproduce, nameWidth)))
	}
	if in.Plan != nil && in.Plan.Hash != "" {
		parts = append(parts, "plan "+code(short(in.Plan.Hash, 64)))
		if in.Plan.Approvable() && in.Plan.Approve != "" {
			parts = append(parts, "what is held waits for "+code(short(in.Plan.Approve, noteWidth))+", if the plan is still this one after the merge")
		}
	}
	if in.Link != "" {
		parts = append(parts, "whole plan: "+code(short(in.Link, nameWidth)))
	}
	if len(parts) == 0 {
		return ""
	}
	return "\n" + strings.Join(parts, " · ") + "\n"
}
