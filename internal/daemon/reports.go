package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/report"
)

// Reports keeps the last report, for whoever asks, and writes each to the files
// that the configuration names.
type Reports struct {
	files   config.Report
	metrics *Metrics

	mu   sync.Mutex
	last core.Report
	any  bool
}

// NewReports returns a reporter that has nothing to tell yet.
func NewReports(files config.Report, metrics *Metrics) *Reports {
	return &Reports{files: files, metrics: metrics}
}

// Report implements reconcile.Reporter.
func (r *Reports) Report(_ context.Context, rep core.Report) error {
	r.mu.Lock()
	r.last, r.any = rep, true
	r.mu.Unlock()
	r.metrics.observe(rep)
	for _, f := range []struct {
		name  string
		write func(io.Writer, core.Report) error
	}{
		{r.files.JSON, func(w io.Writer, rep core.Report) error { return report.JSON(w, rep) }},
		{r.files.Markdown, report.ReportMarkdown},
	} {
		if f.name == "" {
			continue
		}
		var text bytes.Buffer
		if err := f.write(&text, report.Public(rep)); err != nil {
			return err
		}
		if err := replace(f.name, text.Bytes(), 0o644); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	return nil
}

// Last returns the last report; false if there was none yet.
func (r *Reports) Last() (core.Report, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, r.any
}

// replace writes a file so that a reader sees the old text or the new, never half.
func replace(name string, data []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone already when all went well
	if _, err := tmp.Write(data); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Chmod(tmp.Name(), mode); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
