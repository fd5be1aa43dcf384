package chaos

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/test/chaos/wire"
)

// A step is one thing that happens. It is data, so that a run can be told again,
// and told shorter.
type step struct {
	Do   string
	Slot int
	N    int
}

// deeds are what may happen, and how often of a hundred.
var deeds = []struct {
	name  string
	often int
	do    func(m *model, t testing.TB, s *slot, n int)
}{
	{"pass", 24, (*model).doPass},
	{"want", 16, (*model).doWant},
	{"drop", 7, (*model).doDrop},
	{"break", 2, (*model).doBreak},
	{"mend", 3, (*model).doMend},
	{"edit", 8, (*model).doEdit},
	{"declare", 3, (*model).doDeclare},
	{"scale", 3, (*model).doScale},
	{"unmark", 3, (*model).doUnmark},
	{"taint", 4, (*model).doTaint},
	{"delete", 6, (*model).doDelete},
	{"make", 6, (*model).doMake},
	{"sneak", 2, (*model).doSneak},
	{"faults", 6, (*model).doFaults},
	{"cut", 2, (*model).doCut},
	{"kill", 3, (*model).doKill},
	{"restart", 2, (*model).doRestart},
}

// checkEvery is the number of steps after which faults stop and all is checked.
const checkEvery = 30

// slotsPerRun is small, so that much happens to the same object.
const slotsPerRun = 4

// invent makes a run of n steps.
func invent(seed uint64, n int) []step {
	rng := rand.New(rand.NewPCG(seed, 1))
	var weighted []string
	for _, d := range deeds {
		weighted = append(weighted, slices.Repeat([]string{d.name}, d.often)...)
	}
	cast := rng.Perm(len(slots()))[:slotsPerRun]
	steps := make([]step, n)
	for i := range steps {
		steps[i] = step{weighted[rng.IntN(len(weighted))], cast[rng.IntN(len(cast))], rng.IntN(1000)}
		if (i+1)%checkEvery == 0 || i == n-1 {
			steps[i].Do = "check"
		}
	}
	return steps
}

// doPass runs a pass, whatever comes of it.
func (m *model) doPass(t testing.TB, _ *slot, _ int) {
	_, _ = m.p.pass(t)
	m.revive(t)
}

// revive starts another process if the last was killed.
func (m *model) revive(t testing.TB) {
	select {
	case <-m.p.wire.Killed():
		m.p.stop()
		m.begin(t)
	default:
	}
}

func (m *model) doWant(_ testing.TB, s *slot, n int) {
	modes := []core.DriftMode{core.DriftCorrect, core.DriftCorrect, core.DriftCorrect, core.DriftReport, core.DriftIgnore}
	w := &wish{value: n % 3, mode: modes[n/3%len(modes)], take: n/15%3 == 0}
	if s.want == nil || s.want.value != w.value {
		s.touched = false
	}
	s.want = w
	m.commit()
}

func (m *model) doDrop(_ testing.TB, s *slot, _ int) {
	s.want, s.broken = nil, false
	m.commit()
}

func (m *model) doBreak(_ testing.TB, s *slot, _ int) {
	if s.want != nil {
		s.broken = true
		m.commit()
	}
}

// doMend mends all that is broken. What people changed meanwhile is theirs.
func (m *model) doMend(_ testing.TB, _ *slot, _ int) {
	for _, s := range m.slots {
		s.broken = false
	}
	m.commit()
}

func (m *model) doEdit(t testing.TB, s *slot, n int) {
	field := `{"metadata":{"annotations":{"value":"edited-%d"}}}`
	if m.person(t, s, "kubectl-edit", types.MergePatchType, fmt.Sprintf(field, n)) {
		s.held = slices.DeleteFunc(s.held, func(h holding) bool { return h.fields["metadata"] != nil })
		s.held = append(s.held, holding{fields: valueOf(fmt.Sprintf("edited-%d", n))})
	}
}

// doDeclare has another tool declare the value as its own.
func (m *model) doDeclare(t testing.TB, s *slot, n int) {
	o := s.object(m.name, 0)
	value := fmt.Sprintf("declared-%d", n)
	body, err := json.Marshal(map[string]any{"apiVersion": o.Fields["apiVersion"], "kind": o.ID.Kind,
		"metadata": map[string]any{"name": o.ID.Name, "annotations": map[string]any{"value": value}}})
	if err != nil {
		t.Fatal(err)
	}
	if m.person(t, s, "terraform", types.ApplyPatchType, string(body)) {
		s.held = append(s.held, holding{valueOf(value), true})
	}
}

func (m *model) doScale(t testing.TB, _ *slot, n int) {
	s := m.slots[slices.IndexFunc(m.slots, func(s *slot) bool { return s.name == scaled })]
	replicas := 10 + n%5
	if m.person(t, s, "hpa", types.MergePatchType, fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas), "scale") {
		s.held = append(s.held, holding{map[string]any{"spec": map[string]any{"replicas": replicas}}, true})
	}
}

func (m *model) doUnmark(t testing.TB, s *slot, _ int) {
	if m.person(t, s, "kubectl-label", types.MergePatchType, `{"metadata":{"labels":{"`+core.LabelOwner+`":null}}}`) {
		s.lost = true
	}
}

// doTaint sets or lifts a taint as the node controller does, which sends all.
func (m *model) doTaint(t testing.TB, _ *slot, n int) {
	s := m.slots[slices.IndexFunc(m.slots, func(s *slot) bool { return s.name == node })]
	key := fmt.Sprint("theirs-", n%3)
	if m.taints[key] {
		delete(m.taints, key)
	} else {
		m.taints[key] = true
	}
	list, _, _ := unstructuredSlice(m.live(t, s.object(m.name, 0)), "spec", "taints")
	list = slices.DeleteFunc(list, func(x any) bool { return strings.HasPrefix(x.(map[string]any)["key"].(string), "theirs-") })
	for _, key := range slices.Sorted(maps.Keys(m.taints)) {
		list = append(list, map[string]any{"key": key, "effect": "NoExecute"})
	}
	body, err := json.Marshal(map[string]any{"spec": map[string]any{"taints": list}})
	if err != nil {
		t.Fatal(err)
	}
	touched := s.touched
	if !m.person(t, s, "kube-controller-manager", types.MergePatchType, string(body)) {
		t.Fatal("the node cannot be tainted")
	}
	s.touched = touched
}

func (m *model) doDelete(t testing.TB, s *slot, _ int) {
	if s.name == node || s.name == claim {
		return // nobody here would ever let a claim go
	}
	live := m.live(t, s.object(m.name, 0))
	if live == nil {
		return
	}
	m.mu.Lock()
	delete(m.theirs, uidOf(live))
	m.mu.Unlock()
	if err := m.of(s.object(m.name, 0)).Delete(t.Context(), live.GetName(), metav1.DeleteOptions{}); err == nil {
		s.touched, s.meddled, s.lost, s.held = true, true, false, nil
	}
}

func (m *model) doMake(t testing.TB, s *slot, n int) {
	if s.name != node {
		m.foreign(t, s, n%3)
	}
}

// doSneak has a person make an object right before we do.
func (m *model) doSneak(t testing.TB, s *slot, n int) {
	if s.name == node {
		return
	}
	var once sync.Once
	path := s.path(m.name)
	m.p.wire.Before(func(_ int, q *http.Request) {
		if q.Method == http.MethodPatch && strings.HasSuffix(q.URL.Path, path) {
			once.Do(func() { m.foreign(t, s, n%3) })
		}
	})
}

// moods are what may go wrong at a time.
var moods = []wire.Faults{
	{},
	{Refuse: 0.1},
	{Lose: 0.1},
	{Cut: 0.1},
	{Stale: 0.5},
	{Rewind: 0.7, Cut: 0.1},
	{Lag: 5},
	{Refuse: 0.04, Lose: 0.04, Cut: 0.04, Stale: 0.1, Rewind: 0.3, Lag: 2},
}

func (m *model) doFaults(_ testing.TB, _ *slot, n int) {
	mood := moods[n%len(moods)]
	m.p.wire.Set(mood)
	m.searched = m.searched || m.view == watched && mood.Stale > 0
}

func (m *model) doCut(testing.TB, *slot, int) { m.p.wire.Cut() }

func (m *model) doKill(_ testing.TB, _ *slot, n int) {
	m.p.wire.KillAt(len(m.p.wire.Writes())+1+n%5, n%2 == 0)
}

func (m *model) doRestart(t testing.TB, _ *slot, n int) {
	m.view = []view{watched, watched, oneShot}[n%3]
	m.p.stop()
	m.begin(t)
}

// check stops the faults, and proves that all settles as it must. What a search of all
// kinds may have missed on a server that lags is left for another process to settle.
func (m *model) check(t testing.TB, n int) {
	m.revive(t)
	m.calm(t, n)
	if m.searched {
		m.p.stop()
		m.begin(t)
		m.calm(t, n)
	}
}

// calm has the process in hand settle, without faults. Every second time a person
// approves what is held, if nothing that is protected would go.
func (m *model) calm(t testing.TB, n int) {
	m.p.wire.Set(wire.Faults{})
	m.p.wire.KillAt(0, false)
	m.p.wire.Before(nil)
	m.p.settle(t, func(rep core.Report) bool {
		m.approved = n%2 == 0 && !slices.ContainsFunc(slices.Concat(rep.Plan.Changes, rep.Drift.Changes), func(c core.Change) bool {
			return c.ID.Kind == "PersistentVolumeClaim" && c.Action == core.ActionHold
		})
		return m.approved
	})
	m.approved = false
}
