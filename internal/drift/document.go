package drift

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"prumo.dev/prumo/internal/core"
)

// maxDocument bounds what is saved, in bytes: less than a Kubernetes object holds.
const maxDocument = 512 << 10

// A document is what a ledger saves.
type document struct {
	Records     []core.DriftRecord `json:"records,omitempty"`
	Precautions []core.Precaution  `json:"precautions,omitempty"`
}

// Changed reports whether there is something to save. That something is still as
// it was is not.
func (l *Ledger) Changed() bool { return l.changed }

// Saved is told that what Save returned last is kept.
func (l *Ledger) Saved() { l.changed = false }

// Save returns what is worth keeping as one document: all precautions, and as many
// of the records as History and half a MiB allow, what is there first.
func (l *Ledger) Save() ([]byte, error) {
	var d document
	for _, spec := range slices.SortedFunc(maps.Keys(l.precautions), core.SpecID.Compare) {
		d.Precautions = append(d.Precautions, *l.precautions[spec])
	}
	size := 0
	for i, e := range l.sorted() {
		line, err := json.Marshal(e.DriftRecord)
		if err != nil {
			return nil, fmt.Errorf("encode the drift of %s: %w", e.Object, err)
		}
		if size += len(line) + 1; i == l.opts.History || size > maxDocument {
			break
		}
		d.Records = append(d.Records, e.DriftRecord)
	}
	return json.Marshal(d)
}

// Load adds what a document holds and the ledger does not know. An empty document
// holds nothing.
func (l *Ledger) Load(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	var d document
	if len(data) > 2*maxDocument {
		return fmt.Errorf("read the drift records: %d bytes, more than was ever written", len(data))
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return fmt.Errorf("read the drift records: %w", err)
	}
	for _, r := range d.Records {
		e := &entry{DriftRecord: r}
		if l.records[keyOf(e)] == nil && len(l.records) < maxRecords {
			l.records[keyOf(e)] = e
		}
	}
	for _, p := range d.Precautions {
		if l.precautions[p.Spec] == nil {
			l.precautions[p.Spec] = &p
		}
	}
	return nil
}
