package render

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"prumo.dev/prumo/internal/sandbox"
)

// Files that take all memory in some way are problems, each of its own, and no child
// takes more than its limit for it.
func TestBombs(t *testing.T) {
	needMemory(t)
	cue := func(text string) string { return "package bombs\n\n" + text + "\n" }
	laughs := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'k'; c++ {
		laughs += fmt.Sprintf("%c: &%[1]c [*%c%s]\n", c, c-1, strings.Repeat(fmt.Sprintf(", *%c", c-1), 9))
	}
	bombs := map[string]string{
		"text.cue":      cue("import \"strings\"\n\nx: strings.Repeat(strings.Repeat(\"0123456789\", 300), 1000000)"),
		"text_op.cue":   cue("x: \"0123456789\" * 300000000"),
		"list.cue":      cue("import \"list\"\n\nx: list.Repeat([1, 2, 3], 300000000)"),
		"range.cue":     cue("import \"list\"\n\nx: list.Range(0, 1000000000, 1)"),
		"doubling.cue":  cue("a0: \"0123456789\"\n" + doubling(40)),
		"number.cue":    cue("import \"math\"\n\nx: math.Pow(7, 100000000)"),
		"struct.cue":    cue("import \"list\"\n\nlet r = list.Range(0, 3000, 1)\nx: {for a in r for b in r {\"\\(a)-\\(b)\": {n: a, m: b}}}"),
		"laughs.yaml":   laughs,
		"brackets.yaml": "a: " + strings.Repeat("[", 2_000_000) + "\n",
		"braces.yaml":   "a: " + strings.Repeat("{a: ", 500_000) + "\n",
		"brackets.cue":  cue("x: " + strings.Repeat("[", 1_000_000)),
	}
	tree := common(t)
	tree["boxes/b.yaml"] = boxYAML("b", 2)
	for name, text := range bombs {
		tree["bombs/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	out := render(t, inChildren(t, sandbox.Limits{Time: 10 * time.Second}, 0), tree)
	told := map[string]bool{}
	for _, p := range out.Problems {
		t.Log(p)
		told[p.Pos.File] = true
	}
	for name := range bombs {
		if !told["bombs/"+name] {
			t.Errorf("nothing is wrong with %s", name)
		}
	}
	if len(out.Objects) != 1 || len(told) != len(bombs) {
		t.Errorf("%d objects and problems of %d files, want 1 and %d", len(out.Objects), len(told), len(bombs))
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage); err != nil {
		t.Fatal(err)
	}
	t.Logf("peak of a child: %d MiB", usage.Maxrss>>10)
	const rest = 128 << 20 // what the program takes, and pages of its file
	if peak := usage.Maxrss << 10; peak > sandbox.DefaultMemory+rest {
		t.Errorf("a child took %d MiB, want at most %d", peak>>20, (sandbox.DefaultMemory+rest)>>20)
	}
}

// doubling is a chain of texts, each twice the one before.
func doubling(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d: \"\\(a%d)\\(a%[2]d)\"\n", i+1, i)
	}
	return b.String()
}
