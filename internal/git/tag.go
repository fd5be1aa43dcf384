package git

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// A Tag is one strictly parsed annotated tag of a commit.
type Tag struct {
	ID        string // 40 hexadecimal digits
	Object    string // the commit that it is about
	Name      string // as the tag itself says; the ref that led here may lie
	Tagger    Ident
	Message   string // without the signature
	Payload   []byte // the exact bytes that a signature covers
	Signature string // armored, with all that follows it; empty if unsigned
}

// signatureLine begins the lines that open an armored signature of any kind.
const signatureLine = "-----BEGIN "

// parseTag accepts exactly: object, type commit, tag, tagger, then an empty
// line, the message, and at most one armored block at the end. Git takes the
// last such block for the signature; where there are two, readers could differ
// about what was signed, and such a tag is refused.
func parseTag(raw []byte) (*Tag, error) {
	switch {
	case bytes.IndexByte(raw, 0) >= 0:
		return nil, badf(CodeFormat, "the tag holds a NUL byte")
	case !utf8.Valid(raw):
		return nil, badf(CodeFormat, "the tag is not UTF-8")
	}
	head, body, ok := strings.Cut(string(raw), "\n\n")
	if !ok {
		return nil, badf(CodeFormat, "no empty line between the headers and the message")
	}
	if strings.ContainsRune(head, '\r') {
		return nil, badf(CodeFormat, "a carriage return in the headers")
	}
	t, h := &Tag{}, headers{lines: strings.Split(head, "\n")}
	var err error
	if t.Object, err = h.id("object"); err != nil {
		return nil, err
	}
	if !h.next("type") || h.take() != "type commit" {
		return nil, badf(CodeFormat, "the tag is not of a commit")
	}
	named := false
	if h.next("tag") {
		t.Name, named = strings.CutPrefix(h.take(), "tag ")
	}
	if !named || t.Name == "" || strings.ContainsAny(t.Name, " \t") {
		return nil, badf(CodeFormat, "the tag does not say its name")
	}
	if t.Tagger, err = h.ident("tagger"); err != nil {
		return nil, err
	}
	if h.pos < len(h.lines) {
		return nil, badf(CodeFormat, "header %q is out of place, repeated or unknown", h.key())
	}
	if t.Message, t.Signature, err = cutSignature(body); err != nil {
		return nil, err
	}
	t.Payload = []byte(head + "\n\n" + t.Message)
	return t, nil
}

// cutSignature splits the body of a tag before its one armored block.
func cutSignature(body string) (message, signature string, err error) {
	at := -1
	for pos := 0; pos < len(body); {
		if strings.HasPrefix(body[pos:], signatureLine) {
			if at >= 0 {
				return "", "", badf(CodeFormat, "more than one armored block in the tag")
			}
			at = pos
		}
		next := strings.IndexByte(body[pos:], '\n')
		if next < 0 {
			break
		}
		pos += next + 1
	}
	if at < 0 {
		return body, "", nil
	}
	return body[:at], body[at:], nil
}
