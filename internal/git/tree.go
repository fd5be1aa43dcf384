package git

import (
	"bytes"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The modes of tree entries. Only the first three are accepted.
const (
	modeDir       = "40000"
	modeFile      = "100644"
	modeExec      = "100755"
	modeSymlink   = "120000"
	modeSubmodule = "160000"
)

// An entry is one line of a tree object.
type entry struct {
	name string
	mode string // as stored: octal, no leading zero
	id   string
}

// splitTree cuts a tree object into its entries without judging them.
func splitTree(raw []byte) ([]entry, error) {
	var entries []entry
	for len(raw) > 0 {
		head, rest, ok := bytes.Cut(raw, []byte{0})
		mode, name, spaced := strings.Cut(string(head), " ")
		if !ok || !spaced || len(rest) < 20 {
			return nil, badf(CodeFormat, "tree entry %d is cut off", len(entries)+1)
		}
		entries = append(entries, entry{name: name, mode: mode, id: hex.EncodeToString(rest[:20])})
		raw = rest[20:]
	}
	return entries, nil
}

// parseTree accepts only trees that git itself would write for directories and
// regular files with plain names, in git's order, none twice. The Path of its
// error is the name of the entry.
func parseTree(raw []byte, maxEntries int) ([]entry, error) {
	entries, err := splitTree(raw)
	if err != nil {
		return nil, err
	}
	if len(entries) > maxEntries {
		return nil, badf(CodeSize, "a directory of %d entries; the limit is %d", len(entries), maxEntries)
	}
	folded := make(map[string]string, len(entries))
	for i, e := range entries {
		bad := e.check()
		if bad == nil && i > 0 && compareEntries(entries[i-1], e) >= 0 {
			bad = badf(CodeFormat, "the tree is not sorted")
		}
		if bad == nil {
			key := foldName(e.name)
			if twin, ok := folded[key]; ok {
				bad = badf(CodeName, "the name is the same as %q where case or Unicode form is ignored: rename one", twin)
			}
			folded[key] = e.name
		}
		if bad != nil {
			bad.ID, bad.Path = e.id, e.name
			return nil, bad
		}
	}
	return entries, nil
}

func (e entry) check() *BadObject {
	if bad := checkName(e.name); bad != nil {
		return bad
	}
	switch e.mode {
	case modeDir, modeFile, modeExec:
		return nil
	case modeSymlink:
		return badf(CodeSymlink, "symbolic links are refused: commit the file itself")
	case modeSubmodule:
		return badf(CodeSubmodule, "submodules are refused: commit the files themselves")
	}
	return badf(CodeMode, "mode %.12q is refused: only files (100644, 100755) and directories (40000) are allowed", e.mode)
}

// checkName refuses names that a file system, a shell or a person would take
// for another one. The spellings of .git are those of fsck (verify_path in git).
func checkName(name string) *BadObject {
	switch {
	case name == "" || name == "." || name == "..":
		return badf(CodeName, "%q is not a file name", name)
	case len(name) > 255:
		return badf(CodeName, "a name of %d bytes; at most 255 are allowed", len(name))
	case strings.ContainsAny(name, "/\\"):
		return badf(CodeName, "a slash or backslash within a name")
	case !utf8.ValidString(name):
		return badf(CodeName, "the name is not UTF-8")
	case strings.ContainsFunc(name, hidden):
		return badf(CodeName, "the name %+q holds a control or invisible character", name)
	case isDotGit(name):
		return badf(CodeName, "the name is one of .git on some system")
	case isDotGitmodules(name):
		return badf(CodeSubmodule, "submodules are refused, and .gitmodules with them: commit the files themselves")
	}
	return nil
}

// hidden reports control and format characters: the latter include those that
// HFS+ ignores and those that turn the direction of text.
func hidden(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }

func isDotGit(name string) bool {
	name = plainName(name)
	return name == ".git" || name == "git~1"
}

// isDotGitmodules knows the short names that NTFS may give .gitmodules, too.
func isDotGitmodules(name string) bool {
	name = plainName(name)
	return name == ".gitmodules" || strings.HasPrefix(name, "gitmod~") || strings.HasPrefix(name, "gi7eba~")
}

// plainName is the name of the file that NTFS or a Mac would open.
func plainName(name string) string {
	name, _, _ = strings.Cut(strings.ToLower(name), ":") // NTFS streams
	return strings.TrimRight(name, ". ")
}

// foldName maps names that a file system may confuse to one.
func foldName(name string) string {
	return strings.ToLower(strings.ToUpper(norm.NFKC.String(name)))
}

// compareEntries is git's order: by bytes, directories as if they ended in "/".
func compareEntries(a, b entry) int {
	if a.name == b.name {
		return 0
	}
	return strings.Compare(a.sortKey(), b.sortKey())
}

func (e entry) sortKey() string {
	if e.mode == modeDir {
		return e.name + "/"
	}
	return e.name
}
