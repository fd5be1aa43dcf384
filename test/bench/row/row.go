// Package row is one line of the bench's table: what was measured, beside its
// limit and its bar.
package row

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

// A Row is one measurement.
type Row struct {
	Case  string  `json:"case"`
	N     int     `json:"n"` // how many of what the case is about
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Limit float64 `json:"limit,omitempty"` // what it stands beside, measured in the same run
	Ratio float64 `json:"ratio,omitempty"` // Value / Limit
	Bar   string  `json:"bar,omitempty"`   // what Value, or Ratio where it ends in ×, must be
	OK    bool    `json:"ok"`
}

// ErrMissed means that a bar is missed.
var ErrMissed = errors.New("a bar is missed")

// Beside sets a limit, and the ratio to it.
func (r Row) Beside(limit float64) Row {
	r.Limit, r.Ratio = limit, r.Value/limit
	return r
}

// Below is a row whose value must be less than max. The bar is written in text.
func (r Row) Below(max float64, text string) Row {
	r.Bar, r.OK = text, r.Value < max
	return r
}

// Print writes the table.
func Print(out io.Writer, rows []Row) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "case\tn\tvalue\tunit\tlimit\tratio\tbar\t")
	for _, r := range rows {
		verdict := ""
		switch {
		case !r.OK:
			verdict = "MISSED"
		case r.Bar != "":
			verdict = "ok"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Case, r.N, number(r.Value), r.Unit, optional(r.Limit), optional(r.Ratio), r.Bar, verdict)
	}
	return w.Flush()
}

func optional(v float64) string {
	if v == 0 {
		return ""
	}
	return number(v)
}

func number(v float64) string {
	if v < 10 && v != float64(int(v)) {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// Save writes rows to a file, as JSON.
func Save(file string, rows []Row) error {
	data, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}

// Load reads what Save wrote.
func Load(file string) ([]Row, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rows []Row
	return rows, json.Unmarshal(data, &rows)
}

// Missed returns ErrMissed if a bar is missed.
func Missed(rows []Row) error {
	for _, r := range rows {
		if !r.OK {
			return ErrMissed
		}
	}
	return nil
}

// Report is how a case ends: its rows go to a file or, if that has no name, to
// standard output as a table. A missed bar is an error.
func Report(file string, rows []Row) error {
	if file == "" {
		return errors.Join(Print(os.Stdout, rows), Missed(rows))
	}
	return errors.Join(Save(file, rows), Missed(rows))
}
