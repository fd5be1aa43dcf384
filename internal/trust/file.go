package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A record is what the file of a Store holds.
type record struct {
	State
	Intent *State `json:"intent,omitempty"` // may be in the cluster already
}

// read returns what the file holds.
func (s *Store) read() (record, error) {
	data, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return record{State: State{Binding: s.of}}, nil
	}
	if err != nil {
		return record{}, fmt.Errorf("read the last accepted revision: %w", err)
	}
	var r record
	err = decode(data, &r)
	switch beginning := r.Commit == "" && r.Intent != nil && r.Binding == s.of; {
	case err == nil && !beginning:
		err = r.check(s.of)
	case err == nil:
		err = r.Intent.check(s.of)
	}
	if err != nil {
		return record{}, fmt.Errorf("%s: %w: %w; restore it from a backup, or, if you know which revision was last in force, "+
			"remove the file: everything is verified again from the introduction, and a rollback to an older signed revision would not be noticed",
			s.path, ErrCorrupt, err)
	}
	return r, nil
}

// writeFile replaces the file in one step: a crash leaves the old or the new one.
func (s *Store) writeFile(r record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(s.path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(s.path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(data, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), s.path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
