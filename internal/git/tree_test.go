package git

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func formatTree(entries []entry) []byte {
	var b bytes.Buffer
	for _, e := range entries {
		b.WriteString(e.mode + " " + e.name + "\x00")
		id, err := hex.DecodeString(e.id)
		if err != nil {
			panic(err)
		}
		b.Write(id)
	}
	return b.Bytes()
}

// ents makes entries of "mode name" words.
func ents(words ...string) []entry {
	var out []entry
	for i, w := range words {
		mode, name, _ := strings.Cut(w, " ")
		out = append(out, entry{name: name, mode: mode, id: strings.Repeat(string(rune('a'+i%6)), 40)})
	}
	return out
}

func TestParseTree(t *testing.T) {
	want := ents("100644 .gitignore", "100644 .prumo", "100755 a-b", "100644 a.b", "40000 a", "100644 a0", "100644 größe.yaml", "100644 git~2")
	want[6], want[7] = want[7], want[6] // as bytes
	got, err := parseTree(formatTree(want), 100)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(entry{})); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if _, err := parseTree(nil, 100); err != nil {
		t.Errorf("the empty tree: %v", err)
	}
}

func TestParseTreeRefuses(t *testing.T) {
	cut := formatTree(ents("100644 a"))
	tests := map[string]struct {
		raw        []byte
		code, path string
	}{
		"cut off":            {cut[:len(cut)-1], CodeFormat, ""},
		"no mode":            {append([]byte("a\x00"), cut[9:]...), CodeFormat, ""},
		"junk":               {append(cut, 'x'), CodeFormat, ""},
		"unsorted":           {formatTree(ents("100644 b", "100644 a")), CodeFormat, "a"},
		"directory unsorted": {formatTree(ents("40000 a", "100644 a.b")), CodeFormat, "a.b"},
		"twice":              {formatTree(ents("100644 a", "100644 a")), CodeFormat, "a"},
		"file and directory": {formatTree(ents("100644 a", "100644 a.b", "40000 a")), CodeName, "a"},
		"case":               {formatTree(ents("100644 README", "100644 readme")), CodeName, "readme"},
		"Unicode form":       {formatTree(ents("100644 e\u0301", "100644 \u00e9")), CodeName, "\u00e9"},
		"slash":              {formatTree(ents("100644 a/b")), CodeName, "a/b"},
		"backslash":          {formatTree(ents("100644 a\\b")), CodeName, "a\\b"},
		"empty name":         {formatTree(ents("100644 ")), CodeName, ""},
		"dot":                {formatTree(ents("40000 .")), CodeName, "."},
		"dot dot":            {formatTree(ents("40000 ..")), CodeName, ".."},
		".git":               {formatTree(ents("40000 .git")), CodeName, ".git"},
		".GIT":               {formatTree(ents("40000 .GiT")), CodeName, ".GiT"},
		"NTFS short name":    {formatTree(ents("40000 GIT~1")), CodeName, "GIT~1"},
		"NTFS dots":          {formatTree(ents("40000 .git. .")), CodeName, ".git. ."},
		"NTFS stream":        {formatTree(ents("40000 .git::$INDEX_ALLOCATION")), CodeName, ".git::$INDEX_ALLOCATION"},
		"HFS ignorable":      {formatTree(ents("40000 .g\u200cit")), CodeName, ".g\u200cit"},
		"turned text":        {formatTree(ents("100644 a\u202egnp.yaml")), CodeName, "a\u202egnp.yaml"},
		"control":            {formatTree(ents("100644 a\x1b[2J")), CodeName, "a\x1b[2J"},
		"newline":            {formatTree(ents("100644 a\nb")), CodeName, "a\nb"},
		"not UTF-8":          {formatTree(ents("100644 a\xff")), CodeName, "a\xff"},
		"long name":          {formatTree(ents("100644 " + strings.Repeat("a", 256))), CodeName, strings.Repeat("a", 256)},
		"symlink":            {formatTree(ents("120000 a")), CodeSymlink, "a"},
		"submodule":          {formatTree(ents("160000 a")), CodeSubmodule, "a"},
		"gitmodules":         {formatTree(ents("100644 .GitModules.")), CodeSubmodule, ".GitModules."},
		"gitmodules, short":  {formatTree(ents("100644 GITMOD~1")), CodeSubmodule, "GITMOD~1"},
		"group writable":     {formatTree(ents("100664 a")), CodeMode, "a"},
		"padded mode":        {formatTree(ents("0100644 a")), CodeMode, "a"},
		"padded directory":   {formatTree(ents("040000 a")), CodeMode, "a"},
		"empty mode":         {formatTree(ents(" a")), CodeMode, "a"},
		"too many":           {formatTree(ents("100644 a", "100644 b", "100644 c", "100644 d")), CodeSize, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseTree(test.raw, 3)
			var bad *BadObject
			if !errors.As(err, &bad) || bad.Code != test.code || bad.Path != test.path {
				t.Errorf("got %v, error %v; want %s at %q", got, err, test.code, test.path)
			}
		})
	}
}

func FuzzParseTree(f *testing.F) {
	f.Add(formatTree(ents("100644 a", "40000 b", "100755 c")))
	f.Add(formatTree(ents("100644 a.b", "40000 a")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		entries, err := parseTree(raw, 1000)
		if err != nil {
			return
		}
		if again := formatTree(entries); !bytes.Equal(again, raw) {
			t.Errorf("read %q, wrote %q", raw, again)
		}
	})
}
