package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/drift"
)

const (
	driftDocument = "drift"

	// saveEvery is the least time between two saves: a fight must not become one
	// with the API server. A crash loses no more than that.
	saveEvery = 10 * time.Second
)

// Documents are small texts with names. One is saved only over the version of it
// that was loaded; else the error is cluster.ErrChanged.
type documents interface {
	Load(ctx context.Context, name string) (data []byte, version string, err error)
	Save(ctx context.Context, name string, data []byte, version string) (newVersion string, err error)
}

// driftRecords implement reconcile.Records with one document.
type driftRecords struct {
	docs    documents
	log     *slog.Logger
	loaded  bool
	version string
	saved   time.Time // last tried
}

// Load implements reconcile.Records.
func (d *driftRecords) Load(ctx context.Context, l *drift.Ledger) {
	if d.loaded {
		return
	}
	data, version, err := d.docs.Load(ctx, driftDocument)
	if err != nil {
		d.log.Warn("the drift records cannot be loaded; it is tried again in the next pass", "error", err)
		return
	}
	d.loaded, d.version = true, version
	if err := l.Load(data); err != nil {
		d.log.Warn("the drift records are begun anew", "error", err)
	}
}

// Save implements reconcile.Records.
func (d *driftRecords) Save(ctx context.Context, l *drift.Ledger, last bool) time.Time {
	if !d.loaded || !l.Changed() {
		return time.Time{}
	}
	if due := d.saved.Add(saveEvery); !last && time.Now().Before(due) {
		return due
	}
	d.saved = time.Now()
	err := d.save(ctx, l)
	if err == nil {
		return time.Time{}
	}
	d.log.Warn("the drift records cannot be saved; it is tried again", "error", err)
	// What another process saved is added to what is known here.
	d.loaded = !errors.Is(err, cluster.ErrChanged)
	return d.saved.Add(saveEvery)
}

func (d *driftRecords) save(ctx context.Context, l *drift.Ledger) error {
	data, err := l.Save()
	if err != nil {
		return err
	}
	version, err := d.docs.Save(ctx, driftDocument, data, d.version)
	if err != nil {
		return err
	}
	d.version = version
	l.Saved()
	return nil
}

// A folder holds documents as files. The daemon has it for itself (see Lock), but for
// whoever approves beside it.
type folder string

func (f folder) name(document string) string { return filepath.Join(string(f), document+".json") }

// Load implements documents.
func (f folder) Load(_ context.Context, name string) ([]byte, string, error) {
	data, err := os.ReadFile(f.name(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(data)
	return data, hex.EncodeToString(sum[:]), nil
}

// Save implements documents.
func (f folder) Save(ctx context.Context, name string, data []byte, version string) (string, error) {
	unlock, err := flock(filepath.Join(string(f), "documents.lock"), syscall.LOCK_EX)
	if err != nil {
		return "", err
	}
	defer unlock()
	_, current, err := f.Load(ctx, name)
	if err != nil {
		return "", err
	}
	if current != version {
		return "", fmt.Errorf("save %s: %w", f.name(name), cluster.ErrChanged)
	}
	if err := replace(f.name(name), data, 0o600); err != nil {
		return "", err
	}
	_, current, err = f.Load(ctx, name)
	return current, err
}
