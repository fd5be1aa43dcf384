package drift

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"prumo.dev/prumo/internal/core"
)

// Defaults of Options.
const (
	DefaultDebounce = 3 * time.Minute
	DefaultHistory  = 200
)

// maxRecords bounds what is held in memory. Drift beyond it is told and put back
// as any other, and not remembered.
const maxRecords = 5000

// Options say what counts.
type Options struct {
	// Debounce is how long hardware must differ before that is drift, and be well
	// before a precaution ends. Zero means the default.
	Debounce time.Duration

	// History is how many records are saved and shown. Zero means the default.
	History int

	// Once is for a command that looks only once and cannot wait: it tells at once
	// what hardware differs, and takes no precaution that was not taken before.
	Once bool
}

// A Ledger remembers drift. It is for one goroutine.
type Ledger struct {
	opts        Options
	now         time.Time // of the pass
	records     map[key]*entry
	precautions map[core.SpecID]*core.Precaution
	news        []*entry
	changed     bool // since it was saved
}

// A key is what tells records apart. Of hardware, who published it does not
// matter.
type key struct {
	object        core.ObjectID
	class         core.DriftClass
	path, manager string
}

// An entry is a record, with what only this process remembers.
type entry struct {
	core.DriftRecord
	came []time.Time // of late
}

// New returns a ledger that remembers nothing yet.
func New(opts Options) *Ledger {
	opts.Debounce = cmp.Or(opts.Debounce, DefaultDebounce)
	opts.History = cmp.Or(opts.History, DefaultHistory)
	return &Ledger{opts: opts, records: map[key]*entry{}, precautions: map[core.SpecID]*core.Precaution{}}
}

// Glance returns a ledger that knows the same, to look with once and to throw
// away.
func (l *Ledger) Glance() *Ledger {
	c := *l
	c.opts.Once = true
	c.records = make(map[key]*entry, len(l.records))
	for k, e := range l.records {
		copied := *e
		copied.came = slices.Clone(e.came)
		if e.Fight != nil {
			copied.Fight = new(*e.Fight)
		}
		c.records[k] = &copied
	}
	c.precautions = make(map[core.SpecID]*core.Precaution, len(l.precautions))
	for spec, p := range l.precautions {
		c.precautions[spec] = new(*p)
	}
	c.news = nil
	return &c
}

// Begin begins a pass.
func (l *Ledger) Begin(now time.Time) {
	l.now, l.news = now, nil
}

// live reports whether a record is of something that is there.
func (e *entry) live() bool { return e.State == core.DriftSettling || e.State == core.DriftOpen }

// become changes the state of a record.
func (l *Ledger) become(e *entry, state core.DriftState) {
	e.State, e.Since = state, l.now
	l.news = append(l.news, e)
	l.changed = true
}

// touch returns the record of a finding, with what is seen now. It is nil if
// there are too many.
func (l *Ledger) touch(k key, c core.Change, f core.FieldChange) *entry {
	e := l.records[k]
	if e == nil {
		if len(l.records) >= maxRecords {
			return nil
		}
		e = &entry{DriftRecord: core.DriftRecord{Object: k.object, Class: k.class, Path: k.path, Manager: k.manager, FirstSeen: l.now}}
		l.records[k] = e
	}
	wanted, found := brief(f.To), brief(f.From)
	if e.Spec != c.Spec || e.Pos != c.Pos || e.Wanted != wanted || e.Found != found {
		l.changed = true
	}
	e.Spec, e.Pos, e.Wanted, e.Found, e.LastSeen = c.Spec, c.Pos, wanted, found, l.now
	return e
}

// forget drops what ended, but for the latest.
func (l *Ledger) forget() {
	for i, e := range l.sorted() {
		if i >= l.opts.History && !e.live() && !fighting(e) {
			delete(l.records, keyOf(e))
		}
	}
}

func keyOf(e *entry) key {
	k := key{object: e.Object, class: e.Class, path: e.Path, manager: e.Manager}
	if e.Class == core.DriftHardware {
		k.manager = ""
	}
	return k
}

// sorted returns all records: what is there first, and of each the latest first.
func (l *Ledger) sorted() []*entry {
	return slices.SortedFunc(maps.Values(l.records), func(a, b *entry) int {
		if a.live() != b.live() {
			if a.live() {
				return -1
			}
			return 1
		}
		return cmp.Or(b.Since.Compare(a.Since), a.Object.Compare(b.Object), cmp.Compare(a.Class, b.Class),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Manager, b.Manager))
	})
}

// Tell writes what is known into the report of a pass.
func (l *Ledger) Tell(rep *core.Report) {
	rep.Records, rep.Precautions, rep.News = nil, nil, nil
	for i, e := range l.sorted() {
		if i == l.opts.History {
			break
		}
		rep.Records = append(rep.Records, e.DriftRecord)
	}
	for _, e := range l.news {
		rep.News = append(rep.News, e.DriftRecord)
	}
	for _, spec := range slices.SortedFunc(maps.Keys(l.precautions), core.SpecID.Compare) {
		if p := l.precautions[spec]; p.Lifted.IsZero() {
			rep.Precautions = append(rep.Precautions, *p)
		}
	}
	rep.Due = l.due()
}

// due is when the next thing ends that nobody tells of; zero if nothing does.
func (l *Ledger) due() time.Time {
	var first time.Time
	at := func(t time.Time) {
		if t.After(l.now) && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	for _, e := range l.records {
		switch {
		case e.State == core.DriftSettling:
			at(e.Since.Add(l.opts.Debounce))
		case e.State == core.DriftOpen && fighting(e):
			at(e.Fight.Until)
		}
	}
	for _, p := range l.precautions {
		if p.Lifted.IsZero() && !p.Well.IsZero() {
			at(p.Well.Add(l.opts.Debounce))
		}
	}
	return first
}
