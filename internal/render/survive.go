package render

import "prumo.dev/prumo/internal/core"

// survive runs f and returns what it panicked with. CUE's evaluator has bugs that
// end in a panic; whoever can write a file must not be able to end the process.
func survive(f func()) (cause any) {
	defer func() { cause = recover() }()
	f()
	return nil
}

func panicked(pos core.Pos, cause any) core.Problem {
	return problem(pos, "CUE cannot evaluate this and panics (%v), which is a bug of CUE; write it another way", cause)
}
