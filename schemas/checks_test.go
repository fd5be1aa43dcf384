package schemas_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what is told now into testdata/checks")

// A mistake is a case of testdata/checks: what it is called, edits of the example
// that make it, and what is then told. In the file these are lines that begin
// with # (name), @ (file), - (text to replace), + (text in its place), = (told).
type mistake struct {
	name  string
	lines []string // # @ - +
	edits []edit
	want  []string
}

// TestChecks makes one mistake at a time in the example and wants to be told just
// that, at its place.
func TestChecks(t *testing.T) {
	files, err := filepath.Glob("testdata/checks/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var now []string
		for block := range strings.SplitSeq(strings.TrimSpace(string(src)), "\n\n") {
			m := parseMistake(t, block)
			got := told(rendered(t, example(t, m.edits...)))
			if now = append(now, m.format(got)); *update {
				continue
			}
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+m.name, func(t *testing.T) {
				if diff := cmp.Diff(m.want, got); diff != "" || len(got) == 0 {
					t.Errorf("told (-want +got):\n%s", diff)
				}
			})
		}
		if *update {
			if err := os.WriteFile(file, []byte(strings.Join(now, "\n")), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func parseMistake(t *testing.T, block string) mistake {
	t.Helper()
	var m mistake
	last := byte(0)
	for line := range strings.SplitSeq(block, "\n") {
		if len(line) < 2 || line[1] != ' ' {
			t.Fatalf("case %q: line %q does not begin with one of # @ - + = and a space", m.name, line)
		}
		mark, text := line[0], line[2:]
		if mark != '=' {
			m.lines = append(m.lines, line)
		}
		e := &edit{}
		if len(m.edits) > 0 {
			e = &m.edits[len(m.edits)-1]
		}
		switch mark {
		case '#':
			m.name = text
		case '@':
			m.edits = append(m.edits, edit{file: text})
		case '-':
			e.old = joined(e.old, text, last == mark)
		case '+':
			e.new = joined(e.new, text, last == mark)
		case '=':
			m.want = append(m.want, text)
		}
		last = mark
	}
	return m
}

func joined(text, line string, more bool) string {
	if more {
		return text + "\n" + line
	}
	return line
}

func (m mistake) format(told []string) string {
	var b strings.Builder
	for _, line := range m.lines {
		b.WriteString(line + "\n")
	}
	for _, line := range told {
		b.WriteString("= " + line + "\n")
	}
	return b.String()
}
