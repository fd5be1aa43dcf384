package trust

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"prumo.dev/prumo/internal/core"
)

// Bounds of a trust file or policy. They keep a hostile file cheap to refuse.
const (
	maxFile     = 256 << 10 // bytes
	maxDepth    = 16        // nesting of YAML collections
	maxProblems = 100       // told at once; a file with more is no policy at all
)

// A decoder reads YAML nodes strictly and collects every mistake with its
// place. YAML is read as nodes, never into Go values, so that nothing of YAML's
// generosity (aliases, merge keys, implicit types, last duplicate wins) applies.
type decoder struct {
	file     string
	problems []core.Problem
}

// fail notes a mistake at a node.
func (d *decoder) fail(n *yaml.Node, format string, args ...any) {
	d.failAt(n.Line, n.Column, format, args...)
}

func (d *decoder) failAt(line, col int, format string, args ...any) {
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, core.Problem{
			Pos:   core.Pos{File: d.file, Line: line, Col: col},
			Stage: core.StageVerify,
			Msg:   fmt.Sprintf(format, args...),
		})
	}
}

// done returns the problems in the order of the file.
func (d *decoder) done() []core.Problem {
	slices.SortStableFunc(d.problems, func(a, b core.Problem) int { return a.Pos.Compare(b.Pos) })
	return d.problems
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// document parses one YAML document and checks that it is plain data of the
// given kind. It returns nil after noting why it is not.
func (d *decoder) document(data []byte, kind string) *yaml.Node {
	if len(data) > maxFile {
		d.failAt(0, 0, "the file has %d bytes; a %s has at most %d: split groups and rules, or drop old keys", len(data), kind, maxFile)
		return nil
	}
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		d.syntax(err, kind)
		return nil
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		d.failAt(max(more.Line, 1), 1, "the file has more than one YAML document; a %s is exactly one", kind)
		return nil
	}
	if len(doc.Content) == 0 {
		d.syntax(io.EOF, kind)
		return nil
	}
	root := doc.Content[0]
	if d.plain(root, 0); len(d.problems) > 0 {
		return nil
	}
	return root
}

func (d *decoder) syntax(err error, kind string) {
	if errors.Is(err, io.EOF) {
		d.failAt(1, 1, "the file is empty; a %s begins with apiVersion: %s and kind: %s", kind, core.APIVersion, kind)
		return
	}
	line, msg := 1, err.Error()
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
		msg = m[2]
	}
	d.failAt(line, 1, "not readable as YAML: %s", strings.ReplaceAll(msg, "\n", " "))
}

// plain refuses what could make two readers see different data: anchors,
// aliases, explicit tags, duplicate keys, and nesting without end.
func (d *decoder) plain(n *yaml.Node, depth int) {
	switch {
	case depth > maxDepth:
		d.fail(n, "nested deeper than %d levels", maxDepth)
		return
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.fail(n, "YAML anchors and aliases are not allowed here; write the value out")
		return
	case n.Style&yaml.TaggedStyle != 0:
		d.fail(n, "the YAML tag %s is not allowed here; write plain data", n.Tag)
		return
	}
	if n.Kind == yaml.MappingNode {
		seen := map[string]int{}
		for i := 0; i < len(n.Content); i += 2 {
			k := n.Content[i]
			if k.Kind != yaml.ScalarNode {
				d.fail(k, "a key must be a plain word")
				continue
			}
			if line, dup := seen[k.Value]; dup {
				d.fail(k, "key %q is already on line %d; each key is written once", k.Value, line)
			}
			seen[k.Value] = k.Line
		}
	}
	for _, c := range n.Content {
		d.plain(c, depth+1)
	}
}

// An entry is one key of a mapping and its value.
type entry struct {
	key   *yaml.Node
	value *yaml.Node
}

// entries returns the keys of a mapping in the order of the file.
func (d *decoder) entries(n *yaml.Node, what string) []entry {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "%s must be a mapping of names to values", what)
		return nil
	}
	var out []entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		out = append(out, entry{n.Content[i], n.Content[i+1]})
	}
	return out
}

// fields returns the values of a mapping by key and notes every key that is
// neither required nor optional, and every required one that is missing. A
// required key is marked with a trailing "!".
func (d *decoder) fields(n *yaml.Node, what string, known ...string) map[string]*yaml.Node {
	out := map[string]*yaml.Node{}
	var names []string
	for _, k := range known {
		names = append(names, strings.TrimSuffix(k, "!"))
	}
	if n.Kind != yaml.MappingNode {
		d.fail(n, "%s must be a mapping with %s", what, strings.Join(names, ", "))
		return out
	}
	for _, e := range d.entries(n, what) {
		if !slices.Contains(names, e.key.Value) {
			d.fail(e.key, "unknown key %q in %s; known keys: %s", e.key.Value, what, strings.Join(names, ", "))
			continue
		}
		out[e.key.Value] = e.value
	}
	for _, k := range known {
		if name, required := strings.CutSuffix(k, "!"); required && out[name] == nil {
			d.fail(n, "%s needs %q", what, name)
		}
	}
	return out
}

// header checks apiVersion and kind and returns the other fields.
func (d *decoder) header(n *yaml.Node, kind string, known ...string) map[string]*yaml.Node {
	f := d.fields(n, kind, append([]string{"apiVersion!", "kind!"}, known...)...)
	for key, want := range map[string]string{"apiVersion": core.APIVersion, "kind": kind} {
		if v := f[key]; v != nil && d.text(v, key) != want {
			d.fail(v, "%s is %q; this file needs %q", key, v.Value, want)
		}
	}
	return f
}

// text returns a string; anything that YAML reads as another type is a mistake.
func (d *decoder) text(n *yaml.Node, what string) string {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		d.fail(n, "%s must be text; put it in quotes", what)
		return ""
	}
	return n.Value
}

var plainInteger = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})$`)

// integer returns a whole number written in decimal digits.
func (d *decoder) integer(n *yaml.Node, what string, least int) int {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || !plainInteger.MatchString(n.Value) {
		d.fail(n, "%s must be a whole number", what)
		return least
	}
	v, _ := strconv.Atoi(n.Value) // at most 9 digits
	if v < least {
		d.fail(n, "%s is %d; the least is %d", what, v, least)
	}
	return v
}

// list returns the items of a sequence.
func (d *decoder) list(n *yaml.Node, what string) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		d.fail(n, "%s must be a list", what)
		return nil
	}
	return n.Content
}

// instant returns a time in RFC 3339 with a zone; local time would mean another
// instant on another machine.
func (d *decoder) instant(n *yaml.Node, what string) time.Time {
	t, err := time.Parse(time.RFC3339, n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		d.fail(n, "%s must be a time with its zone, such as 2027-01-31T00:00:00Z", what)
	}
	return t
}
