package render

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"prumo.dev/prumo/internal/core"
)

const (
	moduleFile = "cue.mod/module.cue"
	siteFile   = "site.cue"
	kindsDir   = "kinds"
)

// A repo is the files of a tree that matter, found but not read.
type repo struct {
	fs     fs.FS
	limits Limits
	module string   // moduleFile, or empty
	site   string   // siteFile, or empty
	kinds  []string // kinds/*.cue
	specs  []file   // *.cue, *.yaml and *.yml below other top-level folders
	cue    []string // every *.cue file: what an import can reach
}

// A file is a spec file: its name, and the id of its content if the file system has
// one: two files with one id are alike, byte for byte.
type file struct{ name, id string }

// An identified entry of a file system tells what it holds without being read.
type identified interface{ ContentID() string }

func contentID(v any) string {
	if c, ok := v.(identified); ok {
		return c.ContentID()
	}
	return ""
}

// scan walks a tree. Hidden folders, and those whose name starts with "_" as in
// CUE, are not looked into.
func scan(ctx context.Context, fsys fs.FS, limits Limits) (*repo, []core.Problem, error) {
	rp := &repo{fs: fsys, limits: limits}
	var problems []core.Problem
	seen := 0
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if name == "." {
			return err // a tree whose root cannot be read is no user's mistake
		}
		if err != nil {
			problems = append(problems, problem(core.Pos{File: name}, "cannot be read: %v", rootCause(err)))
			return skip(d)
		}
		if seen++; seen > limits.Files {
			problems = append(problems, problem(core.Pos{File: name},
				"the repo has more than %d files and folders, which is the limit; nothing after this one was read", limits.Files))
			return fs.SkipAll
		}
		switch {
		case ignored(name):
			return skip(d)
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			problems = append(problems, problem(core.Pos{File: name}, "is no regular file (%s); links and devices are refused: put the content here", d.Type()))
		case wanted(name):
			rp.add(name, contentID(d))
		}
		return nil
	})
	return rp, problems, err
}

// skip leaves out an entry and, if it is a folder, all that is in it.
func skip(d fs.DirEntry) error {
	if d != nil && d.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func ignored(name string) bool {
	base := path.Base(name)
	return base[0] == '.' || base[0] == '_' ||
		strings.HasPrefix(name, "cue.mod/") && name != moduleFile
}

func wanted(name string) bool {
	switch path.Ext(name) {
	case ".cue":
		return !strings.HasSuffix(name, "_tool.cue") && !strings.HasSuffix(name, "_test.cue")
	case ".yaml", ".yml":
		return strings.Contains(name, "/") && !strings.HasPrefix(name, kindsDir+"/")
	}
	return false
}

func (rp *repo) add(name, id string) {
	top, rest, nested := strings.Cut(name, "/")
	if path.Ext(name) == ".cue" && name != moduleFile {
		rp.cue = append(rp.cue, name)
	}
	switch {
	case name == moduleFile:
		rp.module = name
	case name == siteFile:
		rp.site = name
	case top == kindsDir:
		if !strings.Contains(rest, "/") {
			rp.kinds = append(rp.kinds, name)
		}
	case nested:
		rp.specs = append(rp.specs, file{name, id})
	}
}

// lfsPointer is how a file begins that stands for another one, kept elsewhere
// (git-lfs, docs/spec.md).
const lfsPointer = "version https://git-lfs.github.com/spec/"

// read returns the bytes of a file, or what is wrong with it as text.
func (rp *repo) read(name string) ([]byte, *core.Problem) { return rp.readInto(nil, name) }

// readInto reads a file into room, if there is enough.
func (rp *repo) readInto(room []byte, name string) ([]byte, *core.Problem) {
	bad := func(format string, args ...any) ([]byte, *core.Problem) {
		p := problem(core.Pos{File: name}, format, args...)
		return nil, &p
	}
	f, err := rp.fs.Open(name)
	if err != nil {
		return bad("cannot be read: %v", rootCause(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.Size() > rp.limits.FileBytes {
		return bad("has %d bytes; the limit is %d: split it", info.Size(), rp.limits.FileBytes)
	}
	var src []byte
	if err == nil {
		src, err = readUpTo(f, room, info.Size(), rp.limits.FileBytes+1)
	}
	switch {
	case err != nil:
		return bad("cannot be read: %v", rootCause(err))
	case int64(len(src)) > rp.limits.FileBytes:
		return bad("has more than %d bytes, which is the limit: split it", rp.limits.FileBytes)
	}
	if bytes.HasPrefix(src, []byte(lfsPointer)) {
		return bad("is a Git LFS pointer, not the file: what counts is what git itself holds, and nothing is fetched from elsewhere; put the file into git (git lfs untrack, git add --renormalize)")
	}
	if at := invalidUTF8(src); at >= 0 {
		p := problem(posOf(name, src, at), "byte 0x%02x is not UTF-8; save the file as UTF-8", src[at])
		return nil, &p
	}
	return src, nil
}

// readUpTo reads a file that said how large it is, and may be larger. One that is as
// large as it said is not asked for its end: asking costs as much as the reading.
func readUpTo(f io.Reader, room []byte, size, limit int64) ([]byte, error) {
	room = slices.Grow(room[:0], int(size)+bytes.MinRead)
	n, err := f.Read(room[:cap(room)])
	switch {
	case err == io.EOF || err == nil && int64(n) == size:
		return room[:n], nil
	case err != nil:
		return nil, err
	}
	src := bytes.NewBuffer(room[:n])
	_, err = src.ReadFrom(io.LimitReader(f, limit-int64(n)))
	return src.Bytes(), err
}

// readAll reads files into one map.
func (rp *repo) readAll(names []string) (map[string][]byte, []core.Problem) {
	out := make(map[string][]byte, len(names))
	var problems []core.Problem
	for _, name := range names {
		src, p := rp.read(name)
		if p != nil {
			problems = append(problems, *p)
			continue
		}
		out[name] = src
	}
	return out, problems
}

// rootCause drops the operation and path that fs.PathError repeats.
func rootCause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

func invalidUTF8(src []byte) int {
	if utf8.Valid(src) {
		return -1
	}
	for i := 0; i < len(src); {
		r, n := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// posOf returns the line and column of a byte.
func posOf(name string, src []byte, at int) core.Pos {
	before := string(src[:at])
	return core.Pos{
		File: name,
		Line: strings.Count(before, "\n") + 1,
		Col:  at - strings.LastIndexByte(before, '\n'),
	}
}
