package render

import (
	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
)

// batch hands out contexts. A cue.Context keeps all that it ever built, so it is
// replaced before that becomes much.
type batch struct {
	ctx  *cue.Context
	used int
}

// batchSize is how many values a context builds: a balance between the memory it
// keeps (some 10 kB each) and compiling the schemas anew (some ms each time).
const batchSize = 256

func (b *batch) next() *cue.Context {
	if b.ctx == nil || b.used >= batchSize {
		b.ctx, b.used = cuecontext.New(), 0
	}
	b.used++
	return b.ctx
}

// end lets go of the context.
func (b *batch) end() { b.ctx = nil }
