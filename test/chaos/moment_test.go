package chaos

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/test/chaos/wire"
)

// refused has a server in trouble refuse what a pass asks about an object. It returns
// the report of the pass that says so, which is the last before the server is well again.
func (p *process) refused(t *testing.T, o core.Object) core.Report {
	t.Helper()
	p.wire.Set(wire.Faults{Refuse: 1})
	defer p.wire.Set(wire.Faults{})
	for range 100 { // some answers are faults of the server, and fail the pass
		rep, err := p.pass(t)
		if err == nil && blocked(rep, o.ID) {
			return rep
		}
		p.sleep()
	}
	t.Fatalf("no pass says that the server refuses %s", o.ID)
	return core.Report{}
}

// TestRefusedForAMoment: a report that names what is not in the way any more is not the
// end. What was edited meanwhile is put back before anything counts as settled.
func TestRefusedForAMoment(t *testing.T) {
	w := shared(t)
	o := w.configMap("edited", "1")
	w.repo.commit(rendering(o))
	p := w.start(t, watched)
	p.settle(t, nil)
	w.patch(t, o, `{"data":{"key":"edited"}}`)
	if rep := p.refused(t, o); w.wrong(t, rep) == nil {
		t.Errorf("a report counts as settled that names what is not in the way any more:\n%s", describe(rep))
	}
	p.settle(t, nil)
	if err := w.obeyed(t, o); err != nil {
		t.Errorf("it has settled, and yet it %v", err)
	}
}

// TestJudgeRefused is the same of the model, and of an object that is as it is wanted:
// what waits for it is done later, so that nothing has settled.
func TestJudgeRefused(t *testing.T) {
	m := newModel(t)
	a := m.slots[0]
	a.want = &wish{value: 1, mode: core.DriftCorrect}
	m.commit()
	m.p.settle(t, nil)
	for _, value := range []string{"other", "v1"} {
		body := `{"metadata":{"annotations":{"value":"` + value + `"}}}`
		if !m.person(t, a, "kubectl-edit", types.MergePatchType, body) {
			t.Fatal("not edited")
		}
	}
	if rep := m.p.refused(t, a.object(m.name, 1)); m.judge(t, rep) == nil {
		t.Errorf("a report counts as settled that names what is not in the way any more:\n%s", describe(rep))
	}
	m.p.settle(t, nil)
}
