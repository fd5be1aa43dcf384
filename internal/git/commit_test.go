package git

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	treeLine   = "tree 1111111111111111111111111111111111111111\n"
	parentLine = "parent 2222222222222222222222222222222222222222\n"
	otherLine  = "parent 3333333333333333333333333333333333333333\n"
	authorLine = "author Ana Author <ana@example.org> 1767225600 +0100\n"
	commitLine = "committer Ben <> 1767225601 -0330\n"
	sigLines   = "gpgsig -----BEGIN SSH SIGNATURE-----\n U1NIU0lH\n -----END SSH SIGNATURE-----\n"
)

func TestParseCommit(t *testing.T) {
	head := treeLine + parentLine + otherLine + authorLine + commitLine
	got, err := parseCommit([]byte(head+sigLines+"\nsubject\n\nbody\r\n"), 8)
	if err != nil {
		t.Fatal(err)
	}
	want := &Commit{
		Tree:      strings.Repeat("1", 40),
		Parents:   []string{strings.Repeat("2", 40), strings.Repeat("3", 40)},
		Author:    Ident{"Ana Author", "ana@example.org", time.Unix(1767225600, 0).In(time.FixedZone("", 3600))},
		Committer: Ident{"Ben", "", time.Unix(1767225601, 0).In(time.FixedZone("", -12600))},
		Message:   "subject\n\nbody\r\n",
		Payload:   []byte(head + "\nsubject\n\nbody\r\n"),
		Signature: "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commit (-want +got):\n%s", diff)
	}
	if got.Subject() != "subject" {
		t.Errorf("subject %q", got.Subject())
	}
}

func TestParseCommitAccepts(t *testing.T) {
	for name, raw := range map[string]string{
		"root, unsigned":    treeLine + authorLine + commitLine + "\n",
		"encoding":          treeLine + authorLine + commitLine + "encoding UTF-8\n" + sigLines + "\nm",
		"merged tag":        treeLine + authorLine + commitLine + "mergetag object 2\n type commit\n \n gpgsig x\n" + sigLines + "\nm",
		"header in message": treeLine + authorLine + commitLine + "\ntree 1\ngpgsig x\n",
		"empty header line": treeLine + authorLine + commitLine + "gpgsig -----BEGIN PGP SIGNATURE-----\n \n wsBc\n -----END PGP SIGNATURE-----\n \n\nm", // as GitHub writes
	} {
		if _, err := parseCommit([]byte(raw), 8); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseCommitRefuses(t *testing.T) {
	plain := treeLine + parentLine + authorLine + commitLine
	octopus := treeLine
	for i := range 9 {
		octopus += "parent " + strings.Repeat(string(rune('0'+i)), 40) + "\n"
	}
	tests := map[string]struct{ raw, code string }{
		"empty":                    {"", CodeFormat},
		"no message":               {plain, CodeFormat},
		"NUL in message":           {plain + sigLines + "\nm\x00forged", CodeFormat},
		"NUL in header":            {treeLine + "author A\x00 <a> 1 +0000\n" + commitLine + "\nm", CodeFormat},
		"CR in header":             {treeLine + authorLine + "committer B <b> 1 +0000\r\n\nm", CodeFormat},
		"CR-only line in headers":  {plain + "\r\n" + sigLines + "\nm", CodeFormat},
		"CR in signature":          {plain + strings.ReplaceAll(sigLines, "\n ", "\r\n ") + "\nm", CodeFormat},
		"not UTF-8":                {plain + "\nm\xff", CodeFormat},
		"two trees":                {treeLine + treeLine + authorLine + commitLine + "\nm", CodeFormat},
		"second tree at the end":   {plain + treeLine + "\nm", CodeFormat},
		"no tree":                  {parentLine + authorLine + commitLine + "\nm", CodeFormat},
		"parent before tree":       {parentLine + treeLine + authorLine + commitLine + "\nm", CodeFormat},
		"parent after author":      {treeLine + authorLine + parentLine + commitLine + "\nm", CodeFormat},
		"parent after signature":   {treeLine + authorLine + commitLine + sigLines + parentLine + "\nm", CodeFormat},
		"parent twice":             {treeLine + parentLine + parentLine + authorLine + commitLine + "\nm", CodeFormat},
		"too many parents":         {octopus + authorLine + commitLine + "\nm", CodeSize},
		"short id":                 {"tree 1111\n" + authorLine + commitLine + "\nm", CodeFormat},
		"upper-case id":            {"tree " + strings.Repeat("A", 40) + "\n" + authorLine + commitLine + "\nm", CodeFormat},
		"sha256 id":                {"tree " + strings.Repeat("1", 64) + "\n" + authorLine + commitLine + "\nm", CodeFormat},
		"folded parent":            {treeLine + parentLine + " x\n" + authorLine + commitLine + "\nm", CodeFormat},
		"no author":                {treeLine + commitLine + "\nm", CodeFormat},
		"no committer":             {treeLine + authorLine + "\nm", CodeFormat},
		"two authors":              {treeLine + authorLine + authorLine + commitLine + "\nm", CodeFormat},
		"two committers":           {plain + commitLine + "\nm", CodeFormat},
		"committer before author":  {treeLine + commitLine + authorLine + "\nm", CodeFormat},
		"author without a date":    {treeLine + "author A <a>\n" + commitLine + "\nm", CodeFormat},
		"date with leading zero":   {treeLine + "author A <a> 01 +0000\n" + commitLine + "\nm", CodeFormat},
		"negative date":            {treeLine + "author A <a> -1 +0000\n" + commitLine + "\nm", CodeFormat},
		"huge date":                {treeLine + "author A <a> 18446744073709551615 +0000\n" + commitLine + "\nm", CodeFormat},
		"odd zone":                 {treeLine + "author A <a> 1 +9900\n" + commitLine + "\nm", CodeFormat},
		"zone -0000":               {treeLine + "author A <a> 1 -0000\n" + commitLine + "\nm", CodeFormat},
		"two emails":               {treeLine + "author A <a> <b> 1 +0000\n" + commitLine + "\nm", CodeFormat},
		"encoding latin1":          {plain + "encoding ISO-8859-1\n\nm", CodeFormat},
		"two encodings":            {plain + "encoding UTF-8\nencoding UTF-8\n\nm", CodeFormat},
		"two signatures":           {plain + sigLines + sigLines + "\nm", CodeFormat},
		"gpgsig-sha256":            {plain + sigLines + strings.Replace(sigLines, "gpgsig", "gpgsig-sha256", 1) + "\nm", CodeFormat},
		"gpgsigX":                  {plain + "gpgsigX junk\n" + sigLines + "\nm", CodeFormat},
		"gpgsigX alone":            {plain + "gpgsigX junk\n\nm", CodeFormat},
		"encoding after signature": {plain + sigLines + "encoding UTF-8\n\nm", CodeFormat},
		"unknown header":           {plain + "HG:extra x\n\nm", CodeFormat},
		"header without a value":   {plain + "gpgsigs\n\nm", CodeFormat},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := parseCommit([]byte(test.raw), 8)
			var bad *BadObject
			if !errors.As(err, &bad) || bad.Code != test.code {
				t.Errorf("got %+v, error %v; want %s", c, err, test.code)
			}
		})
	}
}

// What is accepted can be written again, byte for byte, from what was read: no
// reader can see anything else in it.
func FuzzParseCommit(f *testing.F) {
	f.Add([]byte(treeLine + parentLine + authorLine + commitLine + sigLines + "\nm\n"))
	f.Add([]byte(treeLine + authorLine + commitLine + "encoding UTF-8\nmergetag x\n y\n\nm"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parseCommit(raw, 8)
		if err != nil {
			return
		}
		var b bytes.Buffer
		b.WriteString("tree " + c.Tree + "\n")
		for _, p := range c.Parents {
			b.WriteString("parent " + p + "\n")
		}
		b.WriteString("author " + c.Author.String() + "\ncommitter " + c.Committer.String() + "\n")
		rest, ok := bytes.CutPrefix(c.Payload, b.Bytes())
		if !ok {
			t.Fatalf("payload %q does not begin with %q", c.Payload, b.Bytes())
		}
		extra, ok := bytes.CutSuffix(rest, []byte("\n"+c.Message))
		if !ok {
			t.Fatalf("payload %q does not end with the message %q", c.Payload, c.Message)
		}
		b.Write(extra)
		if c.Signature != "" {
			b.WriteString("gpgsig " + strings.ReplaceAll(strings.TrimSuffix(c.Signature, "\n"), "\n", "\n ") + "\n")
		}
		b.WriteString("\n" + c.Message)
		if !bytes.Equal(b.Bytes(), raw) {
			t.Errorf("read %q, wrote %q", raw, b.Bytes())
		}
		l := looseLinks(raw)
		if l.tree != c.Tree || !cmp.Equal(l.parents, c.Parents) || l.when != c.Committer.When.Unix() {
			t.Errorf("the loose reader sees %+v in %q", l, raw)
		}
	})
}
