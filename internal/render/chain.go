package render

import (
	"strings"

	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"

	"prumo.dev/prumo/internal/core"
)

// maxChain bounds how many tokens of a CUE file may depend on one another: those
// since the last comma or line end, in all brackets that are open. CUE's parser and
// evaluator recurse over chains such as "a: a: a:" or "x[0][0][0]", and a stack
// that overflows ends the whole process. People need some dozens.
const maxChain = 2000

// A bracket is one that is open.
type bracket struct {
	close  token.Token
	text   bool // it is in a string: "\(…)"
	tokens int  // since the last comma
}

// checkChains refuses a file whose parts nest or chain too deep to be parsed
// safely. What is no CUE at all is for the parser to say.
func checkChains(name string, src []byte) []core.Problem {
	var s scanner.Scanner
	file := token.NewFile(name, -1, len(src))
	s.Init(file, src, func(token.Pos, string, []any) {}, 0)
	open := []bracket{{close: token.EOF}}
	total, text := 0, false
	for {
		pos, tok, _ := s.Scan()
		top := &open[len(open)-1]
		switch tok {
		case token.EOF:
			return nil
		case token.COMMA:
			total -= top.tokens
			top.tokens = 0
			continue
		case token.INTERPOLATION:
			text = true
		case token.LPAREN:
			open = append(open, bracket{close: token.RPAREN, text: text})
			text = false
		case token.LBRACK:
			open = append(open, bracket{close: token.RBRACK})
		case token.LBRACE:
			open = append(open, bracket{close: token.RBRACE})
		case top.close:
			total -= top.tokens
			if top.text {
				text = strings.HasSuffix(s.ResumeInterpolation(), "(")
			}
			open = open[:len(open)-1]
		}
		open[len(open)-1].tokens++
		if total++; total > maxChain {
			return []core.Problem{problem(toPos(pos, name), "more than %d tokens nest or chain up to here; write it in smaller parts", maxChain)}
		}
	}
}
