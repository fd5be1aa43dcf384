package daemon

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

// TestRefusalMetrics: why a revision is refused can be alerted on, and goes away
// with the refusal.
func TestRefusalMetrics(t *testing.T) {
	m := NewMetrics()
	unsigned, path := &core.Refusal{Code: "E-UNSIGNED"}, &core.Refusal{Code: "E-PATH"}
	for _, tt := range []struct {
		name string
		rep  core.Report
		want map[string]float64
	}{
		{"commits", core.Report{Refused: &core.Verdict{Refusal: path, Commits: []core.CommitVerdict{{Refusal: path}, {}, {Refusal: unsigned}, {Refusal: path}}}},
			map[string]float64{"prumo_revision_refused": 1, "prumo_refusals E-PATH": 2, "prumo_refusals E-UNSIGNED": 1}},
		{"history", core.Report{Refused: &core.Verdict{Refusal: &core.Refusal{Code: "E-REWRITTEN"}}},
			map[string]float64{"prumo_revision_refused": 1, "prumo_refusals E-REWRITTEN": 1}},
		{"none", core.Report{}, map[string]float64{"prumo_revision_refused": 0}},
	} {
		m.observe(tt.rep)
		families, err := m.Registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			for _, series := range f.GetMetric() {
				if name := f.GetName(); strings.Contains(name, "refus") {
					for _, l := range series.GetLabel() {
						name += " " + l.GetValue()
					}
					got[name] = series.GetGauge().GetValue()
				}
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
