package render

import (
	"context"
	"runtime"
	"sync"

	"cuelang.org/go/cue"

	"prumo.dev/prumo/internal/core"
)

// local is the staff of this process. Values that pass through an import race when
// goroutines share them (cuelang.org/go v0.17.1), so every evaluator has kinds that
// it loaded itself. One is kept from rendering to rendering.
type local struct {
	mu   sync.Mutex
	idle *shared
}

// newLocal loads the built-in kinds.
func newLocal() (*local, error) {
	loader, err := loadBuiltin()
	if err != nil {
		return nil, err
	}
	return &local{idle: &shared{basis: &basis{}, loader: loader}}, nil
}

// hire implements staff.
func (l *local) hire(_ context.Context, b *basis) (evaluator, string, []core.Problem, error) {
	sh, err := l.take()
	if err != nil {
		return nil, "", nil, err
	}
	if b.key != ([32]byte{}) && b.key == sh.key {
		sh.rebase(b)
		return sh, sh.path, nil, nil
	}
	next, problems := sh.loader.load(b)
	if len(problems) > 0 {
		l.release(sh)
		return nil, "", problems, nil
	}
	return next, next.path, nil, nil
}

// take returns the evaluator that is kept, or a new one that has loaded no basis.
func (l *local) take() (*shared, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if sh := l.idle; sh != nil {
		l.idle = nil
		return sh, nil
	}
	loader, err := loadBuiltin()
	return &shared{basis: &basis{}, loader: loader}, err
}

// most implements staff.
func (*local) most() int { return runtime.GOMAXPROCS(0) }

// release implements staff. The tree is not kept.
func (l *local) release(e evaluator) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if sh := e.(*shared); l.idle == nil {
		sh.basis, sh.mount, sh.imports = sh.forget(), nil, nil
		l.idle = sh
	}
}

// read implements evaluator.
func (sh *shared) read(_ context.Context, name string, src []byte) (said says, err error) {
	err = survive(func() { said = sh.readFile(name, src) })
	return said, err
}

// complete implements evaluator.
func (sh *shared) complete(_ context.Context, u *unit, deps []dep) (out *outcome, err error) {
	err = survive(func() {
		facts := map[string]map[string]any{}
		for _, d := range deps {
			if facts[d.To.Kind] == nil {
				facts[d.To.Kind] = map[string]any{}
			}
			facts[d.To.Kind][d.To.Name] = d.Facts.value()
		}
		// Both at once, because each filling evaluates the whole kind.
		v := sh.kinds[u.Spec.ID.Kind].schema.FillPath(cue.MakePath(), map[string]any{"in": u.In.value(), "deps": facts})
		out = u.render(v)
	})
	return out, err
}
