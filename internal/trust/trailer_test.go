package trust

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
)

func TestNamedRef(t *testing.T) {
	const ref, line = "refs/heads/main", "Prumo-Ref: refs/heads/main"
	for _, tt := range []struct {
		name, message string
		why           string // part of it; empty: the message names ref
	}{
		{"alone", "subject\n\n" + line + "\n", ""},
		{"among others", "subject\n\nbody\n\nSigned-off-by: Zoë <z@lab.example>\n" + line + "\nReviewed-on: https://git.example/1\n", ""},
		{"without a last newline", "subject\n\n" + line, ""},
		{"with many", "subject\n\n" + line + "\n\n\n", ""},
		{"after more than one empty line", "subject\n\n\n\n" + line + "\n", ""},
		{"picked", "subject\n\n" + line + "\n(cherry picked from commit 0123456789012345678901234567890123456789)\n", ""},
		{"none", "subject\n", "no branch"},
		{"empty", "", "no branch"},
		{"prose", "subject\n\nwrite Prumo-Ref: refs/heads/main there\n", "no branch"},
		{"the subject", line + "\n", "last paragraph of its own"},
		{"an empty subject", "\n\n" + line + "\n", "last paragraph of its own"},
		{"above the last paragraph", "subject\n\n" + line + "\n\nand more\n", "last paragraph of its own"},
		{"twice", "subject\n\n" + line + "\n" + line + "\n", "2 times"},
		{"twice, in other case", "subject\n\n" + line + "\nprumo-ref: refs/heads/dev\n", "2 times"},
		{"twice, with a space before the colon", "subject\n\nPrumo-Ref : refs/heads/dev\n" + line + "\n", "2 times"},
		{"in other case", "subject\n\nprumo-ref: refs/heads/main\n", `"prumo-ref: refs/heads/main"`},
		{"without a space", "subject\n\nPrumo-Ref:refs/heads/main\n", "which names no branch"},
		{"a short name", "subject\n\nPrumo-Ref: main\n", "which names no branch"},
		{"a tag", "subject\n\nPrumo-Ref: refs/tags/main\n", "which names no branch"},
		{"two in one line", "subject\n\n" + line + " refs/heads/dev\n", "which names no branch"},
		{"a space at the end", "subject\n\n" + line + " \n", "which names no branch"},
		{"a carriage return at the end", "subject\n\n" + line + "\r\n", "which names no branch"},
		{"beside prose", "subject\n\nsome prose\n" + line + "\n", `"some prose", which is no trailer`},
		{"goes on", "subject\n\n" + line + "\n x\n", "no trailer"},
		{"indented", "subject\n\n " + line + "\n", "no branch"},
		{"in the continuation of another", "subject\n\nSee: x\n\t" + line + "\n", "no branch"},
		{"a bell in another", "subject\n\nSee: \a\n" + line + "\n", "no trailer"},
		{"below scissors", "subject\n\nPrumo-Ref: refs/heads/dev\n\n# " + scissors + "\n\n" + line + "\n", "scissors"},
	} {
		got, why := namedRef(tt.message)
		if tt.why == "" && (got != ref || why != "") || tt.why != "" && (got != "" || !strings.Contains(why, tt.why)) {
			t.Errorf("%s: got %q, %q; want %q", tt.name, got, why, tt.why)
		}
	}
}

// TestNamedRefIsGits puts messages together at random and asks git, too: never
// another branch than the one that git sees, nor one where git sees none.
func TestNamedRefIsGits(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	parts := []string{
		"Prumo-Ref: refs/heads/main\n", "Prumo-Ref: refs/heads/main\n", "Prumo-Ref: refs/heads/dev\n", "prumo-ref: refs/heads/main\n", "Prumo-Ref : refs/heads/main\n",
		"\n", "\n", "\n", "subject\n", "a: b\n", " c: d\n", "\tx\n", "\r\n", "# note\n", "---\n", "Conflicts:\n", "Signed-off-by: a\n",
		"(cherry picked from commit 0123456789012345678901234567890123456789)\n", "# " + scissors + "\n", "diff --git a b\n", "\u00a0\n", "é: x\n",
	}
	random := rand.New(rand.NewPCG(1, 45))
	var messages []string
	var stream strings.Builder
	for range 3000 {
		message := "subject\n\n"[:8+random.IntN(2)]
		for range 1 + random.IntN(7) {
			message += parts[random.IntN(len(parts))]
		}
		messages = append(messages, message)
		fmt.Fprintf(&stream, "commit refs/heads/main\ncommitter A <a@lab.example> 1 +0000\ndata %d\n%s\n", len(message), message)
	}
	git := func(in string, args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Stdin = strings.NewReader(in)
		cmd.Env = append(cmd.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_DIR="+t.TempDir()+"/../repo")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	git("", "init", "-q", "--bare")
	git(stream.String(), "fast-import", "--quiet")
	theirs := strings.Split(git("", "log", "--reverse", "-z", "--format=%(trailers:key=Prumo-Ref,valueonly,separator=%x2C)", "main"), "\x00")
	named := 0
	for i, message := range messages {
		ours, why := namedRef(message)
		if why != "" {
			continue
		}
		if named++; ours != theirs[i] {
			t.Errorf("%q: we read %q, git %q", message, ours, theirs[i])
		}
	}
	if named < 100 {
		t.Errorf("only %d messages name a branch", named)
	}
}

// FuzzNamedRef: what names a branch says so in one line of its end; with another
// such line, or without it, it does not.
func FuzzNamedRef(f *testing.F) {
	f.Add("subject\n\nSee: x\nPrumo-Ref: refs/heads/main\n")
	f.Add("subject\n\nPrumo-Ref: refs/heads/main\n(cherry picked from commit 0123456789012345678901234567890123456789)")
	f.Add("Prumo-Ref: refs/heads/main\n\nprumo-ref : refs/heads/dev\n x\n")
	f.Fuzz(func(t *testing.T, message string) {
		ref, why := namedRef(message)
		if (ref == "") == (why == "") {
			t.Fatalf("got %q and %q", ref, why)
		}
		if ref == "" {
			return
		}
		lines := strings.Split(strings.TrimRight(message, "\n"), "\n")
		at := -1
		for i, line := range lines {
			if line == trailer(ref) {
				at = i
			}
		}
		if at < 1 {
			t.Fatalf("%q is no line of %q", trailer(ref), message)
		}
		if _, why := namedRef(strings.Join(append(lines, trailer(ref)), "\n")); why == "" {
			t.Errorf("named once more, it still counts: %q", message)
		}
		lines[at] = "Other: x"
		if _, why := namedRef(strings.Join(lines, "\n")); why == "" {
			t.Errorf("named no more, it still counts: %q", message)
		}
	})
}
