package main

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"prumo.dev/prumo/test/gitrepo"
)

const (
	dirs    = 10 // directories of the repo
	perDir  = 50 // files in each
	perFile = 20 // lines of a file
)

// generate makes a repo whose branch main has n commits (the introduction included) and next one more, a
// trust file for it, and the same for git. Every commit changes one file.
func generate(dir string, n int) error {
	origin := filepath.Join(dir, "origin.git")
	if _, err := gitrepo.New(origin); err != nil {
		return err
	}
	key, err := gitrepo.NewKey("bench")
	if err != nil {
		return err
	}
	p, err := newPack(filepath.Join(dir, "history.pack"))
	if err != nil {
		return err
	}
	h := &history{pack: p, key: key, files: map[string][]entry{}}
	intro, main, next, err := h.write(n)
	if err == nil {
		err = p.close()
	}
	if err != nil {
		return err
	}
	index := exec.Command("git", "-C", origin, "index-pack", "--stdin")
	if index.Stdin, err = os.Open(p.name); err != nil {
		return err
	}
	if out, err := index.CombinedOutput(); err != nil {
		return fmt.Errorf("git index-pack: %w\n%s", err, out)
	}
	for name, text := range map[string]string{
		"origin.git/refs/heads/main": main + "\n",
		"origin.git/refs/heads/next": next + "\n",
		"allowed":                    "bench namespaces=\"git\" " + key.Public() + "\n",
		"trust.yaml": fmt.Sprintf("apiVersion: prumo.dev/v1alpha1\nkind: TrustAnchor\nintroduction: %s\n"+
			"root: {threshold: 1, principals: {bench: {keys: [{ssh: %q}]}}}\nlimits: {commits: %d}\n", intro, key.Public(), n+2),
	} {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

type entry struct{ mode, name, id string }

// A history writes commits one after the other.
type history struct {
	pack  *pack
	key   *gitrepo.Key
	files map[string][]entry // by directory
	trees []entry            // of the root
}

func (h *history) write(n int) (intro, main, next string, err error) {
	policy := fmt.Sprintf("apiVersion: prumo.dev/v1alpha1\nkind: TrustPolicy\nversion: 1\nprincipals:\n  bench: {kind: human, keys: [{ssh: %q}]}\n"+
		"rules:\n  - {name: all, paths: [\"**\"], signers: [bench]}\n", h.key.Public())
	id := h.pack.add(blobType, []byte(policy))
	h.trees = append(h.trees, entry{"40000", ".prumo", h.tree([]entry{{"100644", "policy.yaml", id}})})
	for d := range dirs {
		name := fmt.Sprintf("dir%d", d)
		for f := range perDir {
			h.files[name] = append(h.files[name], entry{"100644", fmt.Sprintf("file%02d.yaml", f), h.pack.add(blobType, content(d, f, 0))})
		}
		h.trees = append(h.trees, entry{"40000", name, h.tree(h.files[name])})
	}
	if intro, err = h.commit("", 0, false); err != nil {
		return "", "", "", err
	}
	tip := intro
	for i := 1; i <= n; i++ {
		d, f := i%dirs, i/dirs%perDir
		name := fmt.Sprintf("dir%d", d)
		h.files[name][f].id = h.pack.add(blobType, content(d, f, i))
		h.trees[1+d].id = h.tree(h.files[name])
		if i == n {
			main = tip
		}
		if tip, err = h.commit(tip, i, true); err != nil {
			return "", "", "", err
		}
	}
	return intro, main, tip, nil
}

// content is a file that looks like a spec and compresses like one.
func content(d, f, version int) []byte {
	var b strings.Builder
	for line := range perFile {
		fmt.Fprintf(&b, "key%d: value of line %d, file %d/%d\n", line, line, d, f)
	}
	fmt.Fprintf(&b, "version: %d\n", version)
	return []byte(b.String())
}

func (h *history) tree(entries []entry) string {
	var b bytes.Buffer
	for _, e := range entries {
		b.Write(gitrepo.TreeEntry(e.mode, e.name, e.id))
	}
	return h.pack.add(treeType, b.Bytes())
}

func (h *history) commit(parent string, i int, signed bool) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "tree %s\n", h.tree(h.trees))
	if parent != "" {
		fmt.Fprintf(&b, "parent %s\n", parent)
	}
	const who = "Bench <bench@lab.example>"
	when := 1767225600 + i*60
	fmt.Fprintf(&b, "author %s %d +0000\ncommitter %s %d +0000\n\nchange %d\n", who, when, who, when, i)
	raw := []byte(b.String())
	if signed {
		armor, err := h.key.Sign(raw)
		if err != nil {
			return "", err
		}
		raw = gitrepo.WithSignature(raw, armor)
	}
	return h.pack.add(commitType, raw), nil
}

// Object types of the pack format (gitformat-pack).
const (
	commitType = 1
	treeType   = 2
	blobType   = 3
)

var typeNames = map[byte]string{commitType: "commit", treeType: "tree", blobType: "blob"}

// A pack is written without deltas; faults are kept until close.
type pack struct {
	name  string
	file  *os.File
	w     *bufio.Writer
	zip   *zlib.Writer
	count uint32
	seen  map[string]bool
	err   error
}

func newPack(name string) (*pack, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	p := &pack{name: name, file: f, w: bufio.NewWriter(f), seen: map[string]bool{}}
	p.zip, err = zlib.NewWriterLevel(nil, zlib.BestSpeed)
	p.w.Write(make([]byte, 12)) // the header, once the count is known
	return p, err
}

// add writes an object and returns its id.
func (p *pack) add(typ byte, data []byte) string {
	h := sha1.New()
	fmt.Fprintf(h, "%s %d\x00", typeNames[typ], len(data))
	h.Write(data)
	id := hex.EncodeToString(h.Sum(nil))
	if p.seen[id] || p.err != nil {
		return id
	}
	p.seen[id] = true
	p.count++
	size := len(data)
	head := []byte{typ<<4 | byte(size&15)}
	for size >>= 4; size > 0; size >>= 7 {
		head[len(head)-1] |= 0x80
		head = append(head, byte(size&0x7f))
	}
	p.w.Write(head)
	p.zip.Reset(p.w)
	_, p.err = p.zip.Write(data)
	if err := p.zip.Close(); p.err == nil {
		p.err = err
	}
	return id
}

// close completes header and checksum.
func (p *pack) close() error {
	defer p.file.Close()
	if err := errors.Join(p.err, p.w.Flush()); err != nil {
		return err
	}
	head := binary.BigEndian.AppendUint32(slices.Concat([]byte("PACK"), []byte{0, 0, 0, 2}), p.count)
	if _, err := p.file.WriteAt(head, 0); err != nil {
		return err
	}
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	sum := sha1.New()
	if _, err := io.Copy(sum, p.file); err != nil {
		return err
	}
	_, err := p.file.Write(sum.Sum(nil))
	return err
}
