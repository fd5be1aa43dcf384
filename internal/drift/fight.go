package drift

import (
	"fmt"
	"slices"
	"time"

	"prumo.dev/prumo/internal/core"
)

// When something that is put back comes again fightTimes times within
// fightWindow, it is a fight. It is then put back after firstRest, and after each
// time that it came again after twice as long, up to maxRest. When it has not come
// again for fightWindow, the fight is over.
const (
	fightTimes  = 5
	fightWindow = 10 * time.Minute
	firstRest   = time.Minute
	maxRest     = time.Hour
)

func fighting(e *entry) bool { return e.Fight != nil }

// rests reports whether a record is left alone for now.
func (l *Ledger) rests(e *entry) bool {
	return e.State == core.DriftOpen && fighting(e) && l.now.Before(e.Fight.Until)
}

// cameBack is told of what was put back and is there again.
func (l *Ledger) cameBack(e *entry) {
	e.came = l.lately(e.came, fightWindow)
	switch {
	case fighting(e):
		e.Fight.Times++
		e.Fight.Round++
	case len(e.came) >= fightTimes:
		e.Fight = &core.Fight{Since: e.came[0], Times: len(e.came)}
	default:
		return
	}
	e.Fight.Until = l.now.Add(min(firstRest<<min(e.Fight.Round, 10), maxRest))
	l.changed = true
}

// lately adds now to the times at which something came, and drops those that are
// longer ago than a window.
func (l *Ledger) lately(came []time.Time, window time.Duration) []time.Time {
	came = slices.DeleteFunc(came, func(t time.Time) bool { return l.now.Sub(t) > window })
	if len(came) >= 100 {
		came = came[1:]
	}
	return append(came, l.now)
}

// endFights ends those whose other side has stopped.
func (l *Ledger) endFights() {
	for _, e := range l.records {
		if fighting(e) && !e.live() && l.now.Sub(e.Since) >= fightWindow {
			l.end(e)
		}
	}
}

// forgive ends the fights over an object that a commit changes.
func (l *Ledger) forgive(id core.ObjectID) {
	for k, e := range l.records {
		if k.object == id && fighting(e) {
			l.end(e)
		}
	}
}

func (l *Ledger) end(e *entry) {
	e.Fight, e.came = nil, nil
	l.changed = true
}

// Resting are the objects that are left alone for now, because of a fight.
func (l *Ledger) Resting() map[core.ObjectID]bool {
	resting := make(map[core.ObjectID]bool)
	for k, e := range l.records {
		if l.rests(e) {
			resting[k.object] = true
		}
	}
	return resting
}

// describe says what a fight is about: "fight over .spec.replicas with
// hpa-controller: 6 times in 10m; it is put back again at …".
func (l *Ledger) describe(e *entry) string {
	return fmt.Sprintf("%s; it is put back again at %s", Quarrel(e.DriftRecord), e.Fight.Until.UTC().Format(time.RFC3339))
}

// Quarrel names the fight of a record, up to when it last was rewritten.
func Quarrel(r core.DriftRecord) string {
	over, with := r.Path, r.Manager
	if over == "" {
		over = "the object"
	}
	if with == "" {
		with = "somebody"
	}
	took := r.Since.Sub(r.Fight.Since).Round(time.Second)
	return fmt.Sprintf("fight over %s with %s: rewritten %d times in %v", over, with, r.Fight.Times, max(took, time.Second))
}
