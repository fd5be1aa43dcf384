package main

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/core"
)

const (
	headBytes  = 4096 // of a file that are searched for an apiVersion
	shownNotes = 10
)

// saysSpec finds the apiVersion of a spec in YAML or JSON.
var saysSpec = regexp.MustCompile(`(?m)^[\s{"']*apiVersion["']?\s*:\s*["']?` + regexp.QuoteMeta(core.APIVersion))

// noteUnread names on standard error the files that say they are specs and that
// nothing came of, such as one that is called .json or lies beside the folders. It is
// no mistake to have such files, and rarely meant.
func noteUnread(cmd *cobra.Command, tree core.Tree, r core.Rendering) error {
	told := make(map[string]bool)
	for _, s := range r.Specs {
		told[s.Pos.File] = true
	}
	for _, p := range r.Problems {
		told[p.Pos.File] = true
	}
	unread, err := unreadSpecs(tree.FS, told)
	if err != nil {
		return err
	}
	for _, name := range unread[:min(len(unread), shownNotes)] {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: %q says that it is a spec, and is not read: specs are files *.cue, *.yaml and *.yml in a folder other than kinds\n", name)
	}
	if more := len(unread) - shownNotes; more > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: and %d more such files\n", more)
	}
	return nil
}

// unreadSpecs are the files that say they are specs, but for those that were told of,
// that are hidden, or that are CUE or prose. What cannot be read says nothing.
func unreadSpecs(files fs.FS, told map[string]bool) (unread []string, err error) {
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		hidden := name != "." && strings.ContainsAny(path.Base(name)[:1], "._") || name == "cue.mod"
		switch {
		case hidden && d != nil && d.IsDir():
			return fs.SkipDir
		case hidden || err != nil || !d.Type().IsRegular() || told[name]:
			return nil
		case slices.Contains([]string{".cue", ".md", ".txt"}, path.Ext(name)):
			return nil
		}
		if head := headOf(files, name); saysSpec.MatchString(head) && !strings.Contains(head, config.Kind) {
			unread = append(unread, name)
		}
		return nil
	})
	return unread, err
}

func headOf(files fs.FS, name string) string {
	f, err := files.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, headBytes))
	if err != nil {
		return ""
	}
	return string(head)
}
