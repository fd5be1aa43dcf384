package render

import (
	"bytes"
	"io/fs"
	"path"
	"time"
)

// A memFile is an open regular file in memory.
type memFile struct {
	bytes.Reader
	name string
	size int64
}

func newMemFile(name string, src []byte) *memFile {
	f := &memFile{name: path.Base(name), size: int64(len(src))}
	f.Reset(src)
	return f
}

func (f *memFile) Stat() (fs.FileInfo, error) { return memInfo{name: f.name, size: f.size}, nil }
func (f *memFile) Close() error               { return nil }

// A memDir is an open folder, that is listed by other means.
type memDir string

func (d memDir) Stat() (fs.FileInfo, error) {
	return memInfo{name: path.Base(string(d)), mode: fs.ModeDir}, nil
}
func (d memDir) Close() error { return nil }

func (d memDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: string(d), Err: fs.ErrInvalid}
}

type memInfo struct {
	name string
	size int64
	mode fs.FileMode // of its kind
}

func (i memInfo) Name() string      { return i.name }
func (i memInfo) Size() int64       { return i.size }
func (i memInfo) Mode() fs.FileMode { return i.mode | 0o444 }
func (memInfo) ModTime() time.Time  { return time.Time{} }
func (i memInfo) IsDir() bool       { return i.mode.IsDir() }
func (memInfo) Sys() any            { return nil }
