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

func (f *memFile) Stat() (fs.FileInfo, error) { return memInfo{f.name, f.size}, nil }
func (f *memFile) Close() error               { return nil }

type memInfo struct {
	name string
	size int64
}

func (i memInfo) Name() string     { return i.name }
func (i memInfo) Size() int64      { return i.size }
func (memInfo) Mode() fs.FileMode  { return 0o444 }
func (memInfo) ModTime() time.Time { return time.Time{} }
func (memInfo) IsDir() bool        { return false }
func (memInfo) Sys() any           { return nil }
