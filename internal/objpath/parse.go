package objpath

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Limits of what a person writes; nothing useful comes near.
const (
	maxLength = 1024 // bytes of a path, as given and as written
	maxRules  = 100  // of one list
)

var errTooLong = fmt.Errorf("is longer than %d bytes", maxLength)

// Parse reads a path. The error says what is wrong and what is wanted. What it
// reads, it reads again as [Path.String] writes it.
func Parse(s string) (Path, error) {
	if len(s) > maxLength {
		return nil, errTooLong
	}
	if s == "" {
		return nil, errors.New("is empty; want a path such as .spec.replicas")
	}
	var p Path
	for rest := s; rest != ""; {
		step, after, err := parseStep(rest)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", s, err)
		}
		p, rest = append(p, step), after
	}
	if p[0].Field == "" {
		return nil, fmt.Errorf("%q: begins with an item of a list; want a field, such as .spec", s)
	}
	if len(p.String()) > maxLength { // quotes and escapes make it longer
		return nil, errTooLong
	}
	return p, nil
}

func parseStep(s string) (Step, string, error) {
	switch {
	case s[0] == '.':
		end := strings.IndexFunc(s[1:], func(r rune) bool { return !isPlainRune(r) })
		if end < 0 {
			end = len(s) - 1
		}
		if end == 0 {
			return Step{}, "", fmt.Errorf("no name after the dot at %q; quote others than letters, digits, - and _: [\"x.json\"]", s)
		}
		return Step{Field: s[1 : end+1]}, s[end+1:], nil
	case s[0] != '[':
		return Step{}, "", fmt.Errorf("%q is no step of a path; want .name, [\"a name\"], [key=value] or [0]", s)
	case strings.HasPrefix(s, `["`):
		name, rest, err := unquote(s[1:])
		if err == nil && name == "" {
			err = errors.New("a name is empty")
		}
		if err != nil {
			return Step{}, "", err
		}
		return closed(Step{Field: name}, rest)
	}
	return parseItem(s[1:])
}

// parseItem reads what follows the bracket of an item: 0], or name=web,x=y].
func parseItem(s string) (Step, string, error) {
	if digits := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }); digits > 0 && s[digits] == ']' {
		i, err := strconv.Atoi(s[:digits])
		return Step{Index: i}, s[digits+1:], err
	}
	var step Step
	for {
		name, rest, ok := strings.Cut(s, "=")
		if !ok || name != "" && !isPlain(name) {
			return step, "", fmt.Errorf("%q names no item; want [key=value], as in containers[name=web], or [0]", "["+s)
		}
		value, rest, err := parseValue(rest)
		if err != nil {
			return step, "", err
		}
		step.Keys = append(step.Keys, Key{name, value})
		if !strings.HasPrefix(rest, ",") {
			return closed(step, rest)
		}
		s = rest[1:]
	}
}

func parseValue(s string) (value, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		return unquote(s)
	}
	end := strings.IndexAny(s, ",]")
	if end <= 0 {
		return "", "", fmt.Errorf("%q: no value before the bracket closes; want [key=value]", s)
	}
	return s[:end], s[end:], nil
}

// unquote reads a quoted text at the start of s.
func unquote(s string) (text, rest string, err error) {
	quoted, err := strconv.QuotedPrefix(s)
	if err == nil {
		text, err = strconv.Unquote(quoted)
	}
	if err != nil {
		return "", "", fmt.Errorf("%q: the quotes do not close", s)
	}
	return text, s[len(quoted):], nil
}

func closed(step Step, rest string) (Step, string, error) {
	if !strings.HasPrefix(rest, "]") {
		return step, "", fmt.Errorf("%q: the bracket does not close", rest)
	}
	return step, rest[1:], nil
}

// A Rule is a path in the objects of a kind.
type Rule struct {
	Kind string // Kind or Kind.group; empty: any
	Path Path
}

// Applies reports whether the rule is about the objects of a kind.
func (r Rule) Applies(group, kind string) bool {
	return r.Kind == "" || r.Kind == kind || r.Kind == kind+"."+group
}

// ParseRules reads a list of rules, with ; or line breaks between: "Deployment
// .spec.replicas; .data[\"x.json\"]".
func ParseRules(s string) ([]Rule, error) {
	var rules []Rule
	for _, text := range split(s) {
		kind, path := "", text
		if text[0] != '.' && text[0] != '[' {
			var ok bool
			if kind, path, ok = strings.Cut(text, " "); !ok || !isKind(kind) {
				return nil, fmt.Errorf("%q: want a path such as .spec.replicas, or a kind and a path: Deployment .spec.replicas", text)
			}
		}
		p, err := Parse(strings.TrimSpace(path))
		if err == nil {
			err = p.check()
		}
		if err != nil {
			return nil, err
		}
		if rules = append(rules, Rule{kind, p}); len(rules) > maxRules {
			return nil, fmt.Errorf("has more than %d paths", maxRules)
		}
	}
	if len(rules) == 0 {
		return nil, errors.New("has no path; want one such as .spec.replicas, or leave it out")
	}
	return rules, nil
}

// split cuts at line breaks and semicolons that are not quoted.
func split(s string) []string {
	var parts []string
	start, quoted, escaped := 0, false, false
	add := func(end int) {
		if part := strings.TrimSpace(s[start:end]); part != "" {
			parts = append(parts, part)
		}
		start = end + 1
	}
	for i := range len(s) {
		switch c := s[i]; {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case c == '\n' || c == ';' && !quoted:
			add(i)
		}
	}
	if start < len(s) {
		add(len(s))
	}
	return parts
}

func isKind(s string) bool {
	kind, group, grouped := strings.Cut(s, ".")
	return isPlain(kind) && kind[0] >= 'A' && kind[0] <= 'Z' && (!grouped || group != "")
}

// check refuses a path to what is not for a spec to give away: what an object is
// called, our marks on it, and what the server says of it.
func (p Path) check() error {
	switch p[0].Field {
	case "apiVersion", "kind", "status":
		return fmt.Errorf("%s: is no field that a spec can share", p)
	case "metadata":
	default:
		return nil
	}
	if len(p) < 2 {
		return fmt.Errorf("%s: holds the name and Prumo's marks; name one label, annotation or finalizer", p)
	}
	switch p[1].Field {
	case "finalizers", "ownerReferences":
		return nil
	case "labels", "annotations":
		switch {
		case len(p) < 3 || p[2].Field == "":
			return fmt.Errorf("%s: holds Prumo's marks too; name one, as in %s[\"example.org/x\"]", p, p)
		case strings.HasPrefix(p[2].Field, "prumo.dev/"):
			return fmt.Errorf("%s: is Prumo's own mark", p)
		}
		return nil
	}
	return fmt.Errorf("%s: is no field that a spec can share", p)
}
