package trust

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// A glob is a path pattern, split at slashes. In a segment, * stands for any
// run of characters, a leading dot included, and ? for one; a segment ** stands
// for any number of segments, but a last ** for at least one. Case matters.
type glob []string

const maxGlob = 512 // bytes of a pattern

// parseGlob refuses what people read differently from machines: classes,
// braces, negation, empty and dot segments, a leading or trailing slash.
func parseGlob(s string) (glob, error) {
	switch {
	case s == "" || len(s) > maxGlob:
		return nil, fmt.Errorf("a pattern has 1 to %d bytes", maxGlob)
	case !utf8.ValidString(s) || !plainPath(s):
		return nil, errors.New("a pattern is printable ASCII")
	case strings.ContainsAny(s, `[]{}\!`):
		return nil, fmt.Errorf("the pattern %q uses one of [ ] { } \\ !; only *, ? and ** have a meaning", s)
	}
	g := glob(strings.Split(s, "/"))
	for _, seg := range g {
		switch {
		case seg == "":
			return nil, fmt.Errorf("the pattern %q begins or ends with a slash, or has two in a row; write dir/** for all under a directory", s)
		case seg == "." || seg == "..":
			return nil, fmt.Errorf("the pattern %q has a . or .. segment; write it from the root of the repo", s)
		case seg != "**" && strings.Contains(seg, "**"):
			return nil, fmt.Errorf("the pattern %q has ** beside other characters; ** is a whole segment", s)
		}
	}
	return g, nil
}

// plainPath reports whether s is printable ASCII. Other letters have several
// spellings (Unicode normal forms, look-alikes), and a rule must mean one path.
func plainPath(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

// match reports whether the whole path matches.
func (g glob) match(p string) bool {
	segs := strings.Split(p, "/")
	// reach[j]: the pattern so far matches the first j segments. A table, not
	// recursion: its cost is the product of both lengths whatever the pattern.
	reach := make([]bool, len(segs)+1)
	reach[0] = true
	for i, pat := range g {
		next := make([]bool, len(segs)+1)
		for j := range reach {
			switch {
			case pat == "**" && i == len(g)-1:
				next[j] = slices.Contains(reach[:j], true)
			case pat == "**":
				next[j] = slices.Contains(reach[:j+1], true)
			case j > 0 && reach[j-1]:
				ok, err := path.Match(pat, segs[j-1])
				next[j] = ok && err == nil
			}
		}
		reach = next
	}
	return reach[len(segs)]
}
