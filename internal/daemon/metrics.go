package daemon

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"prumo.dev/prumo/internal/core"
)

// Metrics are what Prometheus may ask for. Names follow its conventions: base
// units, _total for counters.
type Metrics struct {
	Registry *prometheus.Registry

	passes   *prometheus.CounterVec // by outcome: success, failure
	duration prometheus.Histogram
	success  prometheus.Gauge
	objects  *prometheus.GaugeVec   // by state: unchanged, changing, blocked, held
	drift    *prometheus.GaugeVec   // by class
	drifts   *prometheus.CounterVec // by class and state
	fights   prometheus.Gauge
	settling prometheus.Gauge
	cautions prometheus.Gauge
	problems prometheus.Gauge
	refused  prometheus.Gauge
	refusals *prometheus.GaugeVec // by code
	warnings *prometheus.GaugeVec // by code
	warnedOf *prometheus.GaugeVec // by code and commit; always 1
	revision *prometheus.GaugeVec // by commit; always 1
	outcomes *prometheus.CounterVec
}

// NewMetrics registers the metrics of one daemon.
func NewMetrics() *Metrics {
	m := &Metrics{
		Registry: prometheus.NewRegistry(),
		passes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "prumo_passes_total",
			Help: "Passes over repo and cluster, by outcome."}, []string{"outcome"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "prumo_pass_duration_seconds",
			Help: "How long passes took.", Buckets: prometheus.ExponentialBuckets(0.05, 2, 12)}),
		success: prometheus.NewGauge(prometheus.GaugeOpts{Name: "prumo_last_success_timestamp_seconds",
			Help: "When the last pass without a fault ended, in Unix time."}),
		objects: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "prumo_objects",
			Help: "Managed objects at the last pass, by state."}, []string{"state"}),
		drift: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "prumo_drift_objects",
			Help: "Objects that had drifted at the last pass, by class."}, []string{"class"}),
		drifts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "prumo_drift_total",
			Help: "Drifts that began to settle, opened, were corrected or went by themselves, by class and state."}, []string{"class", "state"}),
		fights: prometheus.NewGauge(prometheus.GaugeOpts{Name: "prumo_fights",
			Help: "Fields that somebody rewrites each time they are put back, at the last pass."}),
		settling: prometheus.NewGauge(prometheus.GaugeOpts{Name: "prumo_hardware_settling",
			Help: "Differences of hardware that have not lasted long enough to count, at the last pass."}),
		cautions: prometheus.NewGauge(prometheus.GaugeOpts{Name: "prumo_precautions",
			Help: "Specs whose precautions are in force, at the last pass: cordoned nodes."}),
		problems: prometheus.NewGauge(prometheus.GaugeOpts{Name: "prumo_problems",
			Help: "Mistakes in the repo's specs at the last pass."}),
		refused: prometheus.NewGauge(prometheus.GaugeOpts{Name: "prumo_revision_refused",
			Help: "1 while the branch's tip is refused and an older revision is in force."}),
		refusals: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "prumo_refusals",
			Help: "Reasons not to obey the branch's tip at the last pass, by refusal code."}, []string{"code"}),
		warnings: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "prumo_warnings",
			Help: "What a person should look at beside, as of the last pass, by refusal code."}, []string{"code"}),
		warnedOf: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "prumo_warning_commits",
			Help: "Commits that warnings list, such as those accepted under a key that was revoked since; always 1."}, []string{"code", "commit"}),
		revision: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "prumo_revision_info",
			Help: "The commit in force; always 1."}, []string{"commit"}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "prumo_outcomes_total",
			Help: "What became of planned changes, by action and status."}, []string{"action", "status"}),
	}
	m.Registry.MustRegister(m.passes, m.duration, m.success, m.objects, m.drift, m.drifts, m.fights, m.settling, m.cautions, m.problems,
		m.refused, m.refusals, m.warnings, m.warnedOf, m.revision, m.outcomes,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// observe counts one pass.
func (m *Metrics) observe(rep core.Report) {
	outcome := "success"
	if len(rep.Errors) > 0 {
		outcome = "failure"
	} else {
		m.success.SetToCurrentTime()
	}
	m.passes.WithLabelValues(outcome).Inc()
	m.problems.Set(float64(len(rep.Problems)))
	m.observeRefused(rep.Refused)
	m.observeWarnings(rep.Warnings)
	if rep.Revision.Commit != "" {
		m.revision.Reset()
		m.revision.WithLabelValues(rep.Revision.Commit).Set(1)
	}
	if rep.Plan != nil && rep.Drift != nil {
		m.observePlans(*rep.Plan, *rep.Drift)
	}
	m.observeRecords(rep)
	if rep.Result != nil {
		for _, o := range rep.Result.Outcomes {
			m.outcomes.WithLabelValues(string(o.Action), string(o.Status)).Inc()
		}
	}
}

// observeRecords counts what happened to drift, and what goes on.
func (m *Metrics) observeRecords(rep core.Report) {
	for _, r := range rep.News {
		m.drifts.WithLabelValues(string(r.Class), string(r.State)).Inc()
	}
	if rep.Plan == nil {
		return // a pass that did not get as far knows nothing
	}
	fights, settling := 0, 0
	for _, r := range rep.Records {
		if r.Fight != nil {
			fights++
		}
		if r.State == core.DriftSettling {
			settling++
		}
	}
	m.fights.Set(float64(fights))
	m.settling.Set(float64(settling))
	m.cautions.Set(float64(len(rep.Precautions)))
}

func (m *Metrics) observeWarnings(warnings []core.Warning) {
	m.warnings.Reset()
	m.warnedOf.Reset()
	for _, w := range warnings {
		m.warnings.WithLabelValues(w.Code).Inc()
		for _, c := range w.Commits {
			m.warnedOf.WithLabelValues(w.Code, c.Commit).Set(1)
		}
	}
}

// observeRefused counts every commit that is refused, and what concerns the
// history as a whole once.
func (m *Metrics) observeRefused(v *core.Verdict) {
	m.refused.Set(0)
	m.refusals.Reset()
	if v == nil || v.Refusal == nil {
		return
	}
	m.refused.Set(1)
	counted := false
	for _, c := range v.Commits {
		if c.Refusal != nil {
			m.refusals.WithLabelValues(c.Refusal.Code).Inc()
			counted = true
		}
	}
	if !counted {
		m.refusals.WithLabelValues(v.Refusal.Code).Inc()
	}
}

func (m *Metrics) observePlans(plan, drift core.Plan) {
	both := func(actions ...core.Action) float64 { return float64(plan.Count(actions...) + drift.Count(actions...)) }
	m.objects.WithLabelValues("unchanged").Set(float64(plan.Unchanged))
	m.objects.WithLabelValues("blocked").Set(both(core.ActionBlocked))
	m.objects.WithLabelValues("held").Set(both(core.ActionHold))
	m.objects.WithLabelValues("changing").Set(both(core.ActionCreate, core.ActionUpdate, core.ActionAdopt,
		core.ActionReplace, core.ActionDelete, core.ActionRelease))
	count := make(map[core.DriftClass]int)
	for _, c := range drift.Changes {
		count[c.Class]++
	}
	for _, class := range core.DriftClasses() {
		m.drift.WithLabelValues(string(class)).Set(float64(count[class]))
	}
}
