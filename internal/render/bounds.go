package render

import (
	"math"
	"strings"

	"cuelang.org/go/cue"
)

// bounds says in words which numbers or texts a schema takes, for people who write
// YAML and no CUE: "a whole number from 1 to 8". It is empty if the schema says more
// than what there are words for.
func bounds(v cue.Value) string {
	b := limits{low: math.Inf(-1), high: math.Inf(1)}
	if !b.add(v) {
		return ""
	}
	switch v.IncompleteKind() {
	case cue.IntKind:
		return "a whole number" + b.numbers()
	case cue.NumberKind, cue.FloatKind:
		return "a number" + b.numbers()
	case cue.StringKind:
		if len(b.patterns) > 0 {
			return "text that matches " + strings.Join(b.patterns, " and ")
		}
		return "text"
	}
	return ""
}

// limits are what a conjunction of bounds says together.
type limits struct {
	low, high         float64
	lowText, highText string // with the words before it
	patterns          []string
}

// add takes in a value, and reports whether there are words for it.
func (b *limits) add(v cue.Value) bool {
	op, args := v.Expr()
	switch op {
	case cue.AndOp:
		for _, a := range args {
			if !b.add(a) {
				return false
			}
		}
		return true
	case cue.NoOp:
		if brief(v) == "uint" && b.low < 0 {
			b.low, b.lowText = 0, "at least 0"
		}
		return !v.IsConcrete()
	case cue.RegexMatchOp:
		pattern, err := args[0].String()
		b.patterns = append(b.patterns, pattern)
		return err == nil
	}
	if len(args) != 1 {
		return false
	}
	n, err := args[0].Float64()
	if err != nil {
		return false
	}
	switch op {
	case cue.GreaterThanEqualOp, cue.GreaterThanOp:
		if n >= b.low {
			b.low, b.lowText = n, map[cue.Op]string{cue.GreaterThanEqualOp: "at least ", cue.GreaterThanOp: "more than "}[op]+brief(args[0])
		}
	case cue.LessThanEqualOp, cue.LessThanOp:
		if n <= b.high {
			b.high, b.highText = n, map[cue.Op]string{cue.LessThanEqualOp: "at most ", cue.LessThanOp: "less than "}[op]+brief(args[0])
		}
	default:
		return false
	}
	return true
}

// numbers are the limits of a number, as the end of a phrase.
func (b *limits) numbers() string {
	from, closed := strings.CutPrefix(b.lowText, "at least ")
	to, closedToo := strings.CutPrefix(b.highText, "at most ")
	switch {
	case closed && closedToo:
		return " from " + from + " to " + to
	case b.lowText != "" && b.highText != "":
		return ", " + b.lowText + " and " + b.highText
	case b.lowText+b.highText != "":
		return ", " + b.lowText + b.highText
	}
	return ""
}
