package git

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Commit is one strictly parsed commit object.
type Commit struct {
	ID        string // 40 hexadecimal digits
	Tree      string
	Parents   []string
	Author    Ident
	Committer Ident
	Message   string
	Payload   []byte // the exact bytes that a signature covers
	Signature string // the gpgsig header unfolded, final newline included; empty if unsigned
}

// An Ident says who and when, as the commit claims; a signature does not bind it.
type Ident struct {
	Name, Email string
	When        time.Time
}

// String returns the ident as commit headers spell it.
func (i Ident) String() string {
	return fmt.Sprintf("%s <%s> %d %s", i.Name, i.Email, i.When.Unix(), i.When.Format("-0700"))
}

// Subject is the first line of the message.
func (c *Commit) Subject() string {
	first, _, _ := strings.Cut(c.Message, "\n")
	return first
}

// parseCommit accepts exactly: tree, parents, author, committer, at most one
// encoding (UTF-8), mergetags, at most one gpgsig, in this order, then an empty
// line and the message. Git and go-git read more than that, each in its own
// way, and a header that two readers see differently is how a signature gets
// to stand for something else (CVE-2026-44309).
func parseCommit(raw []byte, maxParents int) (*Commit, error) {
	switch {
	case bytes.IndexByte(raw, 0) >= 0:
		return nil, badf(CodeFormat, "the commit holds a NUL byte")
	case !utf8.Valid(raw):
		return nil, badf(CodeFormat, "the commit is not UTF-8: write messages and names in UTF-8 (i18n.commitEncoding)")
	}
	head, message, ok := strings.Cut(string(raw), "\n\n")
	if !ok {
		return nil, badf(CodeFormat, "no empty line between the headers and the message")
	}
	if strings.ContainsRune(head, '\r') {
		return nil, badf(CodeFormat, "a carriage return in the headers")
	}
	c := &Commit{Message: message}
	h := headers{lines: strings.Split(head, "\n")}
	var err error
	if c.Tree, err = h.id("tree"); err != nil {
		return nil, err
	}
	for h.next("parent") {
		parent, err := h.id("parent")
		if err != nil {
			return nil, err
		}
		if slices.Contains(c.Parents, parent) {
			return nil, badf(CodeFormat, "parent %s is named twice", parent)
		}
		if c.Parents = append(c.Parents, parent); len(c.Parents) > maxParents {
			return nil, badf(CodeSize, "more than %d parents: merge fewer branches at once", maxParents)
		}
	}
	if c.Author, err = h.ident("author"); err != nil {
		return nil, err
	}
	if c.Committer, err = h.ident("committer"); err != nil {
		return nil, err
	}
	if h.next("encoding") && h.take() != "encoding UTF-8" {
		return nil, badf(CodeFormat, "an encoding other than UTF-8: set i18n.commitEncoding to UTF-8")
	}
	for h.next("mergetag") {
		h.folded()
	}
	start := h.pos
	if h.next("gpgsig") {
		c.Signature = h.folded()
	}
	if h.pos < len(h.lines) {
		return nil, badf(CodeFormat, "header %q is out of place, repeated or unknown", h.key())
	}
	c.Payload = payload(h.lines[:start], message)
	return c, nil
}

// payload is the commit without its gpgsig header, which is always the last.
func payload(lines []string, message string) []byte {
	return []byte(strings.Join(lines, "\n") + "\n\n" + message)
}

// headers reads the header lines of a commit one after the other.
type headers struct {
	lines []string
	pos   int
}

func (h *headers) key() string {
	if h.pos == len(h.lines) {
		return ""
	}
	key, _, _ := strings.Cut(h.lines[h.pos], " ")
	return key
}

// next reports whether the next header has the key.
func (h *headers) next(key string) bool { return h.key() == key }

func (h *headers) take() string {
	h.pos++
	return h.lines[h.pos-1]
}

// folded takes a header whose further lines begin with a space.
func (h *headers) folded() string {
	_, value, _ := strings.Cut(h.take(), " ")
	var b strings.Builder
	b.WriteString(value + "\n")
	for h.pos < len(h.lines) && strings.HasPrefix(h.lines[h.pos], " ") {
		b.WriteString(h.take()[1:] + "\n")
	}
	return b.String()
}

func (h *headers) id(key string) (string, error) {
	if !h.next(key) {
		return "", badf(CodeFormat, "header %q stands where %q must be", h.key(), key)
	}
	id, ok := strings.CutPrefix(h.take(), key+" ")
	if !ok || !isID(id) {
		return "", badf(CodeFormat, "header %q does not hold an object id of 40 lower-case hexadecimal digits", key)
	}
	return id, nil
}

// identLine is "name <email> seconds zone". Seconds end in the year 9999.
var identLine = regexp.MustCompile(`^([^<>\n]+) <([^<>\n]*)> (0|[1-9][0-9]{0,11}) ([+-])(0[0-9]|1[0-4])([0-5][0-9])$`)

func (h *headers) ident(key string) (Ident, error) {
	if !h.next(key) {
		return Ident{}, badf(CodeFormat, "header %q stands where %q must be", h.key(), key)
	}
	value, _ := strings.CutPrefix(h.take(), key+" ")
	m := identLine.FindStringSubmatch(value)
	if m == nil || m[4]+m[5]+m[6] == "-0000" {
		return Ident{}, badf(CodeFormat, "header %q is not \"name <email> seconds zone\"", key)
	}
	seconds, _ := strconv.ParseInt(m[3], 10, 64)
	hours, _ := strconv.Atoi(m[5])
	minutes, _ := strconv.Atoi(m[6])
	offset := (hours*60 + minutes) * 60
	if m[4] == "-" {
		offset = -offset
	}
	zone := time.UTC
	if offset != 0 {
		zone = time.FixedZone("", offset)
	}
	return Ident{Name: m[1], Email: m[2], When: time.Unix(seconds, 0).In(zone)}, nil
}

// isID reports whether s is a full object id as git writes it.
func isID(s string) bool { return len(s) == 40 && isHex(s) }

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
}
