package chaos

import (
	"testing"

	"prumo.dev/prumo/internal/core"
)

// TestJudgeKept: of an object whose spec is broken, what a report says is in the way must
// be so. If people have meanwhile made another object, which nothing is in the way of, the
// run has not settled: what the last good commit asked for is still owed, and then done.
func TestJudgeKept(t *testing.T) {
	m := newModel(t)
	b := m.slots[1]
	m.foreign(t, b, 0)
	b.want = &wish{value: 2, mode: core.DriftReport}
	m.commit()
	if _, err := m.p.pass(t); err != nil {
		t.Fatal(err)
	}
	m.doBreak(t, b, 0)
	rep, err := m.p.pass(t)
	if err != nil || !blocked(rep, b.object(m.name, 0).ID) {
		t.Fatalf("%v; somebody's value must be in the way:\n%s", err, describe(rep))
	}
	if wrong := m.judge(t, rep); len(wrong) > 0 {
		t.Errorf("somebody's value is in the way, and yet: %v", wrong)
	}

	m.doDelete(t, b, 0)
	m.foreign(t, b, 2) // as it is wanted
	if m.judge(t, rep) == nil {
		t.Error("a report counts as settled that names what is not in the way any more")
	}
	m.p.settle(t, nil)
	if err := m.obeyed(t, b.object(m.name, 2)); err != nil {
		t.Errorf("what was owed was not done: %v", err)
	}
}
