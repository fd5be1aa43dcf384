package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/drift"
)

// see has a ledger find drift of one object.
func see(l *drift.Ledger, name string) {
	l.Begin(time.Now())
	l.See(core.Plan{}, core.Plan{Changes: []core.Change{{ID: core.ObjectID{Kind: "ConfigMap", Name: name}, Class: core.DriftDeleted}}})
}

func names(l *drift.Ledger) (names []string) {
	var rep core.Report
	l.Tell(&rep)
	for _, r := range rep.Records {
		names = append(names, r.Object.Name)
	}
	return names
}

// counted counts saves, and fails them if it is told to.
type counted struct {
	folder
	saves int
	fail  error
}

func (c *counted) Save(ctx context.Context, name string, data []byte, version string) (string, error) {
	c.saves++
	if c.fail != nil {
		return "", c.fail
	}
	return c.folder.Save(ctx, name, data, version)
}

// TestRecordsAreSavedRarely: at once when something happened, then at most every
// ten seconds, not at all when nothing did, and always the last time.
func TestRecordsAreSavedRarely(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		docs := &counted{folder: folder(dir)}
		records := &driftRecords{docs: docs, log: slog.New(slog.DiscardHandler)}
		ctx, l := t.Context(), drift.New(drift.Options{})
		records.Load(ctx, l)
		step := func(what string, saves int, due bool, last bool) {
			t.Helper()
			got := records.Save(ctx, l, last)
			if docs.saves != saves || got.IsZero() == due {
				t.Errorf("%s: saved %d times, want %d; due %v", what, docs.saves, saves, got)
			}
		}
		step("nothing happened", 0, false, false)
		see(l, "a")
		step("something happened", 1, false, false)
		step("nothing more", 1, false, false)
		see(l, "b")
		step("soon after", 1, true, false)
		time.Sleep(saveEvery)
		step("when it was due", 2, false, false)
		see(l, "c")
		docs.fail = errors.New("away")
		step("the last time, in vain", 3, true, true)
		docs.fail = nil
		step("the last time", 4, false, true)
	})
	info, err := os.Stat(filepath.Join(dir, "drift.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want a file that is ours alone", info, err)
	}
}

// TestRecordsOfTwo has two processes save one document: neither loses what the
// other knows. What cannot be read is begun anew.
func TestRecordsOfTwo(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		begin := func() (*driftRecords, *drift.Ledger) {
			r, l := &driftRecords{docs: folder(dir), log: slog.New(slog.DiscardHandler)}, drift.New(drift.Options{})
			r.Load(ctx, l)
			return r, l
		}
		one, first := begin()
		two, second := begin()
		see(first, "a")
		one.Save(ctx, first, false)
		see(second, "b")
		if due := two.Save(ctx, second, false); due.IsZero() {
			t.Error("saved over what the other saved")
		}
		time.Sleep(saveEvery)
		two.Load(ctx, second)
		two.Save(ctx, second, false)
		if _, third := begin(); len(names(third)) != 2 {
			t.Errorf("kept %v, want what both knew", names(third))
		}
		if err := os.WriteFile(filepath.Join(dir, "drift.json"), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		four, fourth := begin()
		see(fourth, "d")
		four.Save(ctx, fourth, false)
		if _, fifth := begin(); len(names(fifth)) != 1 {
			t.Errorf("after a broken file: kept %v", names(fifth))
		}
	})
}
