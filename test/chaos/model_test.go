package chaos

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/test/chaos/wire"
)

// A model knows what people and repo have done to a world, and from it what must
// be true of it.
type model struct {
	*world
	p     *process
	view  view
	slots []*slot

	mu       sync.Mutex      // a person acts while a pass runs, too
	theirs   map[string]bool // uids of what people made, and did not delete
	approved bool            // the pass in hand is allowed to replace
	searched bool            // the process in hand may have searched all kinds on a server that lags
	taints   map[string]bool // of others, on the node
}

func newModel(t testing.TB) *model {
	m := &model{world: shared(t), view: watched, slots: slots(), theirs: map[string]bool{}, taints: map[string]bool{}}
	m.world.judge, m.inspect = m.judge, m.look
	m.make(t, "apiVersion: v1\nkind: Node\nmetadata: {name: "+m.name+"}")
	m.commit()
	m.begin(t)
	return m
}

// begin starts the next process.
func (m *model) begin(t testing.TB) {
	m.p = m.start(t, m.view)
	m.searched = false
}

// commit makes what the slots want the head of the repo.
func (m *model) commit() {
	var r core.Rendering
	for _, s := range m.slots {
		switch {
		case s.want == nil:
			continue
		case s.broken:
			r.Problems = append(r.Problems, core.Problem{Spec: core.SpecID{Kind: "Slot", Name: s.name}, Stage: core.StageRender, Msg: "broken"})
		default:
			r.Objects = append(r.Objects, s.object(m.name, s.want.value))
		}
		r.Specs = append(r.Specs, core.Spec{ID: core.SpecID{Kind: "Slot", Name: s.name}, Drift: s.want.mode, TakeConflicts: s.want.take})
	}
	slices.SortFunc(r.Objects, func(a, b core.Object) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(r.Specs, func(a, b core.Spec) int { return a.ID.Compare(b.ID) })
	m.repo.commit(r)
}

func (m *model) problems() bool { return len(m.repo.head().Problems) > 0 }

// look proves of what a pass wrote that it was allowed, whatever the pass saw.
func (m *model) look(t testing.TB, writes []wire.Write) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range writes {
		s := at(m.slots, m.name, x.Path)
		switch {
		case s == nil:
			t.Fatalf("wrote to what nobody spoke of: %s", x)
		case x.Method != http.MethodDelete || x.Status == 0 || x.Status >= 300:
		case m.theirs[x.UID]:
			t.Fatalf("deleted what people made: %s", x)
		case s.name == claim || s.name == node:
			t.Fatalf("deleted what is protected: %s", x)
		case s.want != nil && !(s.name == frozen && m.approved):
			t.Fatalf("deleted what is wanted: %s", x)
		case m.problems() && !m.approved:
			t.Fatalf("deleted while the repo has problems: %s", x)
		}
	}
}

// judge says what is not as it must be once nothing is written any more.
func (m *model) judge(t testing.TB, rep core.Report) []string {
	var wrong []string
	for _, s := range m.slots {
		live := m.live(t, s.object(m.name, 0))
		why := ""
		switch {
		case s.broken:
			why = m.judgeKept(t, s, live, rep)
		case s.want != nil:
			why = m.judgeWanted(t, s, s.object(m.name, s.want.value), live, rep)
		case live != nil && s.name != node:
			why = m.judgeUnwanted(s, live, rep)
		}
		if why != "" {
			wrong = append(wrong, s.name+" "+why)
		}
		if s.name == node {
			wrong = append(wrong, m.judgeTaints(s, live, rep)...)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	alive := map[string]bool{}
	for _, s := range m.slots {
		alive[uidOf(m.live(t, s.object(m.name, 0)))] = true
	}
	for uid := range m.theirs {
		if !alive[uid] {
			wrong = append(wrong, "something that people made is gone: "+uid)
		}
	}
	return wrong
}

// judgeKept says why a slot is not settled of which the spec is broken. Its object stays
// as it last was, whatever that is. But what a report says is in the way of that must be
// so, too: once nothing is, what is owed of the last good commit is done.
func (m *model) judgeKept(t testing.TB, s *slot, live *unstructured.Unstructured, rep core.Report) string {
	id := s.object(m.name, 0).ID
	if !blocked(rep, id) {
		return ""
	}
	kept, ok := m.repo.lastGood(id, s.object(m.name, 0).Spec)
	if !ok {
		return "has something in its way, and nothing good ever spoke of it"
	}
	return m.judgeWanted(t, s, kept, live, rep)
}

// judgeWanted says why a slot is not as it must be, which is as wanted. What a report
// says is in the way of it must be so: it is asked about now and then.
func (m *model) judgeWanted(t testing.TB, s *slot, wanted core.Object, live *unstructured.Unstructured, rep core.Report) string {
	err := m.obeyed(t, stored(wanted))
	switch {
	case err == nil && blocked(rep, wanted.ID):
		return "is as wanted, and has something in its way all the same"
	case err == nil:
		if s.want.take { // what others hold as it is wanted, they still hold, too
			s.held = slices.DeleteFunc(s.held, func(h holding) bool { return differs(h.fields, wanted.Fields, "") != "" })
		}
		return ""
	case s.want.mode != core.DriftCorrect && s.meddled && !blocked(rep, wanted.ID):
		return "" // reported, and left alone
	case live == nil:
		return err.Error()
	case s.name == frozen && differs(wanted.Fields["data"], live.Object["data"], "") != "":
		return "" // waits for an approval, or is somebody else's and cannot be changed
	}
	disputed := func(h holding) bool {
		return m.stands(h, live) && differs(h.fields, live.Object, "") == "" && differs(h.fields, wanted.Fields, "") != ""
	}
	if !s.want.take && slices.ContainsFunc(s.held, disputed) {
		return "" // left alone
	}
	return err.Error()
}

// stands reports whether a holding of others in a live object is to be left alone.
func (m *model) stands(h holding, live *unstructured.Unstructured) bool {
	return h.declared || live.GetLabels()[core.LabelOwner] != m.name
}

// judgeUnwanted says why an object that the repo does not want is still there, or
// still marked.
func (m *model) judgeUnwanted(s *slot, live *unstructured.Unstructured, rep core.Report) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	ours := live.GetLabels()[core.LabelOwner] == m.name
	switch {
	case ours && (s.name == claim || m.keepsAll(rep) || waits(rep, s.object(m.name, 0).ID)):
		return ""
	case ours && m.unsearched(s):
		return "" // check has another process search
	case ours:
		return "is wanted no more, and ours all the same"
	case !m.theirs[string(live.GetUID())] && !s.lost:
		return "is wanted no more, and we made it"
	}
	return ""
}

// keepsAll reports whether nothing may go without an approval: the repo has problems, wants
// nothing at all any more, or would have too much go at once.
func (m *model) keepsAll(rep core.Report) bool {
	return m.problems() || len(m.repo.head().Objects) == 0 || held(rep) > 5
}

// unsearched reports whether the process in hand may not know that an object exists: it
// watches no kind of which nothing is wanted, unless it has found some when it searched all
// kinds. It searches again when the interval of its safety net is over, see TestLateSearch.
func (m *model) unsearched(s *slot) bool {
	kind := s.object(m.name, 0).ID.Kind
	return m.searched && !slices.ContainsFunc(m.repo.head().Objects, func(o core.Object) bool { return o.ID.Kind == kind })
}

// held is how many deletions and releases a pass held back.
func held(rep core.Report) int {
	return rep.Plan.Count(core.ActionHold) + rep.Drift.Count(core.ActionHold)
}

// isBlocked reports whether something is in the way of an object.
func isBlocked(o core.Outcome) bool {
	return o.Status == core.StatusBlocked && o.Action == core.ActionBlocked
}

// blocked reports whether a report says that something is in the way of an object.
func blocked(rep core.Report, id core.ObjectID) bool {
	return slices.ContainsFunc(rep.Result.Outcomes, func(o core.Outcome) bool { return o.ID == id && isBlocked(o) })
}

// waits reports whether the deletion or release of an object waits for another that
// is blocked, held, or not ready: nobody here makes a Deployment ready.
func waits(rep core.Report, id core.ObjectID) bool {
	stands := slices.ContainsFunc(rep.Result.Outcomes, func(o core.Outcome) bool {
		return isBlocked(o) || o.Status == core.StatusHeld && o.Action == core.ActionReplace
	})
	return slices.ContainsFunc(rep.Result.Outcomes, func(o core.Outcome) bool {
		return o.Status == core.StatusBlocked && o.ID == id && (stands || strings.Contains(o.Reason, "/"+scaled+" is not ready: "))
	})
}

// judgeTaints proves that the taints of others are there, and ours as wanted.
func (m *model) judgeTaints(s *slot, live *unstructured.Unstructured, rep core.Report) []string {
	want := map[string]bool{}
	for key := range m.taints {
		want[key] = true
	}
	if s.want != nil && !s.broken {
		want[fmt.Sprintf("ours-%d", s.want.value)] = true
	}
	stands := slices.ContainsFunc(s.held, func(h holding) bool { return m.stands(h, live) })
	left := s.touched || s.broken || m.keepsAll(rep) || stands || waits(rep, s.object(m.name, 0).ID) // ours may be as they were
	var wrong []string
	list, _, _ := unstructured.NestedSlice(live.Object, "spec", "taints")
	for _, x := range list {
		key := x.(map[string]any)["key"].(string)
		if !want[key] && !left {
			wrong = append(wrong, "node has the taint "+key)
		}
		delete(want, key)
	}
	for key := range want {
		if m.taints[key] || !left {
			wrong = append(wrong, "node has lost the taint "+key)
		}
	}
	return wrong
}

// person does something to the live object of a slot, if there is one. What does
// not work is left: people do not insist.
func (m *model) person(t testing.TB, s *slot, manager string, kind types.PatchType, body string, sub ...string) bool {
	force := true
	options := metav1.PatchOptions{FieldManager: manager}
	if kind == types.ApplyPatchType {
		options.Force = &force
	}
	if m.live(t, s.object(m.name, 0)) == nil {
		return false
	}
	_, err := m.of(s.object(m.name, 0)).Patch(t.Context(), s.object(m.name, 0).ID.Name, kind, []byte(body), options, sub...)
	if err == nil {
		s.touched, s.meddled = true, true
	}
	return err == nil
}

// foreign has a person make an object in a slot, and tells whether it worked. It
// may be called while a pass runs.
func (m *model) foreign(t testing.TB, s *slot, value int) {
	o := s.object(m.name, value)
	delete(o.Fields, "immutable")
	u, err := m.of(o).Create(t.Context(), &unstructured.Unstructured{Object: o.Fields}, metav1.CreateOptions{FieldManager: "kubectl-create"})
	if err != nil {
		return // it is there
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.theirs[uidOf(u)] = true
	s.touched, s.meddled, s.lost = true, true, false
	s.held = append(s.held, holding{fields: valueOf(fmt.Sprintf("v%d", value))})
}
