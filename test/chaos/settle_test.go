package chaos

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"prumo.dev/prumo/internal/core"
)

// passesToSettle bounds how many passes may write until nothing is left to do: one
// that cleans up after what happened, one that does what this made possible, one
// that deletes, and one for whatever an answer that was lost made uncertain.
const passesToSettle = 5

// patience is how long a watch may take to tell what happened.
const patience = 30 * time.Second

// settle runs passes until nothing is left to do, and proves that it stays so.
// What needs an approval gets it if approve says so. A pass may fail for as long as
// a watch takes to be back. It returns the last report.
func (p *process) settle(t testing.TB, approve func(core.Report) bool) core.Report {
	t.Helper()
	wrote, calm, end := 0, 0, time.Now().Add(patience)
	for {
		before := len(p.wire.Writes())
		rep, err := p.pass(t)
		if len(p.wire.Writes()) > before {
			if wrote++; wrote > passesToSettle {
				t.Fatalf("pass %d still writes: %v\n%s", wrote, p.wire.Writes()[before:], describe(rep))
			}
			end = time.Now().Add(patience)
		}
		p.approve("")
		if err == nil && approvable(rep) && approve != nil && approve(rep) {
			p.approve(rep.Plan.Hash)
			continue
		}
		quiet, wrong := len(p.wire.Writes()) == before, []string(nil)
		if quiet && err == nil {
			wrong = p.world.judge(t, rep)
		}
		if !quiet || err != nil || len(wrong) > 0 {
			calm = 0
		} else if calm++; calm == 2 || p.watched == nil { // what a watch has still to tell is told by then
			p.stays(t, rep)
			return rep
		}
		if time.Now().After(end) {
			t.Fatalf("does not settle: %v, %v\n%s", err, wrong, describe(rep))
		}
		if quiet {
			p.sleep()
		}
	}
}

// approvable reports whether a pass held something that a person may let go on.
func approvable(rep core.Report) bool { return rep.Plan.Approvable() || rep.Drift.Approvable() }

// sleep waits for what would start the next pass.
func (p *process) sleep() {
	select {
	case <-p.wake:
	case <-time.After(500 * time.Millisecond):
	}
}

// stays proves that nothing more is written after the report of a state that has
// settled.
func (p *process) stays(t testing.TB, settled core.Report) {
	t.Helper()
	for range 2 {
		before, owed := len(p.wire.Writes()), p.world.repo.applied.Owed
		rep, err := p.pass(t)
		if err != nil {
			t.Fatalf("a pass over what has settled: %v", err)
		}
		if more := p.wire.Writes()[before:]; len(more) > 0 {
			t.Fatalf("it had settled, and yet: %v\n%swhen it had settled, at %s, with %v owed:\n%s",
				more, describe(rep), settled.Time.Format(time.StampMilli), owed, describe(settled))
		}
	}
}

// wrong says what is not as it must be once nothing is written any more: of the cluster,
// which must be as the head of the repo wants it but for what is held, and of the report.
// Nobody stands in the way of an object here, so a report that says so is of a moment
// that has passed: the object is asked about again, and then perhaps written.
func (w *world) wrong(t testing.TB, rep core.Report) []string {
	t.Helper()
	held := map[core.ObjectID]bool{}
	var wrong []string
	for _, plan := range []*core.Plan{rep.Plan, rep.Drift} {
		for _, c := range plan.Changes {
			switch c.Action {
			case core.ActionHold:
				held[c.ID] = true
			case core.ActionBlocked:
				wrong = append(wrong, fmt.Sprintf("%s is said to be blocked: %s", c.ID, c.Reason))
			}
		}
	}
	wanted := map[core.ObjectID]bool{}
	for _, o := range w.repo.head().Objects {
		wanted[o.ID] = true
		if held[o.ID] {
			continue
		}
		if err := w.obeyed(t, o); err != nil {
			wrong = append(wrong, fmt.Sprintf("%s %v", o.ID, err))
		}
	}
	seen := map[core.ObjectID]bool{}
	for _, r := range w.repo.history {
		for _, o := range r.Objects {
			if wanted[o.ID] || seen[o.ID] || held[o.ID] || o.ID.Kind == "Lamp" && !wanted[lampDefinition(w).ID] {
				continue
			}
			seen[o.ID] = true
			if live := w.live(t, o); live != nil && live.GetLabels()[core.LabelOwner] == w.name && live.GetDeletionTimestamp() == nil {
				wrong = append(wrong, fmt.Sprintf("%s is wanted no more, and there", o.ID))
			}
		}
	}
	return wrong
}

// obeyed says how an object differs from what is wanted of it.
func (w *world) obeyed(t testing.TB, o core.Object) error {
	live := w.live(t, o)
	if live == nil {
		return fmt.Errorf("does not exist")
	}
	if live.GetLabels()[core.LabelOwner] != w.name {
		return fmt.Errorf("does not carry our mark")
	}
	if why := differs(o.Fields, live.Object, ""); why != "" {
		return fmt.Errorf("is not as wanted: %s", why)
	}
	return nil
}

// differs names the first field of want that have does not have.
func differs(want, have any, path string) string {
	switch want := want.(type) {
	case map[string]any:
		m, _ := have.(map[string]any)
		for k, v := range want {
			if why := differs(v, m[k], path+"."+k); why != "" {
				return why
			}
		}
	case []any:
		list, _ := have.([]any)
		for _, v := range want { // of lists, only sets are used: taints
			found := false
			for _, x := range list {
				found = found || differs(v, x, path) == ""
			}
			if !found {
				return fmt.Sprintf("%s has no %v", path, v)
			}
		}
	default:
		if fmt.Sprint(want) != fmt.Sprint(have) {
			return fmt.Sprintf("%s is %v, not %v", path, have, want)
		}
	}
	return ""
}

// deleted are the uids of all that any process of this world has deleted, and how
// often a write at a path succeeded with a method.
func (w *world) deleted() map[string]string {
	uids := map[string]string{}
	for _, x := range w.writes {
		if x.Method == "DELETE" && x.Status > 0 && x.Status < 300 {
			uids[x.UID] = x.Path
		}
	}
	return uids
}

// describe is a report in lines.
func describe(rep core.Report) string {
	s := ""
	for _, plan := range []*core.Plan{rep.Plan, rep.Drift} {
		if plan != nil {
			for _, c := range plan.Changes {
				s += fmt.Sprintf("  %s %s %s %s %s\n", c.Action, c.ID, c.Class, c.Mode, c.Reason)
				if !c.RetryAt.IsZero() {
					s += fmt.Sprintf("    asked about again at %s\n", c.RetryAt.Format(time.StampMilli))
				}
				for _, f := range c.Fields {
					s += fmt.Sprintf("    %s: %v -> %v (%s)\n", f.Path, f.From, f.To, f.Manager)
				}
			}
		}
	}
	if rep.Result != nil {
		for _, o := range rep.Result.Outcomes {
			s += fmt.Sprintf("  outcome %s %s %s %s\n", o.Action, o.ID, o.Status, o.Reason)
		}
	}
	for _, f := range rep.Errors {
		s += fmt.Sprintf("  error %s %s\n", f.Stage, f.Msg)
	}
	return s
}

func uidOf(u *unstructured.Unstructured) string {
	if u == nil {
		return ""
	}
	return string(u.GetUID())
}
