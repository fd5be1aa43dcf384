package render

import (
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/token"

	"prumo.dev/prumo/internal/core"
)

// toPos turns a position of CUE into ours. An unknown one is the file as a whole.
func toPos(p token.Pos, file string) core.Pos {
	if !p.IsValid() {
		return core.Pos{File: file}
	}
	at := p.Position()
	name := strings.TrimPrefix(at.Filename, "/")
	if name == "" || at.Line <= 0 {
		return core.Pos{File: file}
	}
	return core.Pos{File: name, Line: at.Line, Col: at.Column}
}

// ofBuiltin reports whether a position is in the built-in schemas.
func ofBuiltin(p core.Pos) bool { return strings.HasPrefix(p.File, schemasPath+"/") }

// userPos is where a value stands in the repo: in the file (or folder, if it ends
// in "/") asked for if some part of it does, else in any file of the repo.
func userPos(v cue.Value, file string) core.Pos {
	return toPos(userToken(v, file), strings.TrimSuffix(file, "/"))
}

func userToken(v cue.Value, file string) token.Pos {
	best := token.NoPos
	var look func(v cue.Value, depth int) bool
	look = func(v cue.Value, depth int) bool {
		for _, p := range []token.Pos{v.Pos(), sourcePos(v)} {
			switch at := toPos(p, ""); {
			case at.Line == 0 || ofBuiltin(at):
			case at.File == file || strings.HasSuffix(file, "/") && strings.HasPrefix(at.File, file):
				best = p
				return true
			case !best.IsValid():
				best = p
			}
		}
		if depth == 0 {
			return false
		}
		op, args := v.Expr()
		if op != cue.AndOp {
			return false
		}
		for _, a := range args {
			if look(a, depth-1) {
				return true
			}
		}
		return false
	}
	look(v, 3)
	return best
}

func sourcePos(v cue.Value) token.Pos {
	if src := v.Source(); src != nil {
		return src.Pos()
	}
	return token.NoPos
}
