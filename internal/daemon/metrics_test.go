package daemon

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

// TestRefusalMetrics: why a revision is refused, and what is warned of, can be
// alerted on, and goes away with it.
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
		{"warning", core.Report{Warnings: []core.Warning{{Code: "E-KEY-REVOKED", Commits: []core.CommitVerdict{{Commit: "a"}, {Commit: "b"}}}}},
			map[string]float64{"prumo_revision_refused": 0, "prumo_warnings E-KEY-REVOKED": 1, "prumo_warning_commits E-KEY-REVOKED a": 1, "prumo_warning_commits E-KEY-REVOKED b": 1}},
		{"none", core.Report{}, map[string]float64{"prumo_revision_refused": 0}},
	} {
		m.observe(tt.rep)
		got := metrics(t, m, func(name string) bool { return strings.Contains(name, "refus") || strings.Contains(name, "warning") })
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// metrics are those whose name, with the values of their labels, is wanted.
func metrics(t *testing.T, m *Metrics, wanted func(name string) bool) map[string]float64 {
	t.Helper()
	families, err := m.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, series := range f.GetMetric() {
			name := f.GetName()
			for _, l := range series.GetLabel() {
				name += " " + l.GetValue()
			}
			if wanted(name) {
				got[name] = series.GetGauge().GetValue() + series.GetCounter().GetValue()
			}
		}
	}
	return got
}

// TestDriftMetrics: what happened to drift is counted, what goes on is told.
func TestDriftMetrics(t *testing.T) {
	m := NewMetrics()
	opened := core.DriftRecord{Class: core.DriftEdited, State: core.DriftOpen, Fight: &core.Fight{}}
	settling := core.DriftRecord{Class: core.DriftHardware, State: core.DriftSettling}
	m.observe(core.Report{Plan: &core.Plan{}, Drift: &core.Plan{}, News: []core.DriftRecord{opened, opened, settling},
		Records: []core.DriftRecord{opened, settling}, Precautions: []core.Precaution{{}}})
	m.observe(core.Report{}) // a pass that failed early says nothing new
	want := map[string]float64{"prumo_drift_total edited open": 2, "prumo_drift_total hardware settling": 1,
		"prumo_fights": 1, "prumo_hardware_settling": 1, "prumo_precautions": 1}
	got := metrics(t, m, func(name string) bool { _, ok := want[name]; return ok })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestDriftedMetrics: each class has its number, and none keeps an old one.
func TestDriftedMetrics(t *testing.T) {
	m := NewMetrics()
	drift := core.Plan{Changes: []core.Change{{Class: core.DriftUntrusted}, {Class: core.DriftUntrusted}, {Class: core.DriftEdited}}}
	for _, tt := range []struct {
		drift core.Plan
		want  map[core.DriftClass]float64
	}{
		{drift, map[core.DriftClass]float64{core.DriftUntrusted: 2, core.DriftEdited: 1}},
		{core.Plan{}, nil},
	} {
		m.observe(core.Report{Plan: &core.Plan{}, Drift: &tt.drift})
		want := map[string]float64{}
		for _, class := range core.DriftClasses() {
			want["prumo_drift_objects "+string(class)] = tt.want[class]
		}
		got := metrics(t, m, func(name string) bool { return strings.HasPrefix(name, "prumo_drift_objects ") })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
