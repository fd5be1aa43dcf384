package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func hello(out string) options {
	return options{
		pkg: "./testdata/hello", out: out, version: "v1.2.3+more", revision: strings.Repeat("a", 40),
		platforms: []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}},
		created:   time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

// built builds the image of testdata/hello and returns its index and what was said.
func built(t *testing.T, opts options) (v1.ImageIndex, string) {
	t.Helper()
	var said bytes.Buffer
	if err := run(t.Context(), opts, &said); err != nil {
		t.Fatal(err)
	}
	outer, err := layout.ImageIndexFromPath(filepath.Join(opts.out, "image"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := outer.IndexManifest()
	if err != nil || len(m.Manifests) != 1 {
		t.Fatalf("index.json: %v, %v, want one image", m, err)
	}
	if name := m.Manifests[0].Annotations["org.opencontainers.image.ref.name"]; name != "v1.2.3-more" {
		t.Errorf("ref.name %q", name)
	}
	index, err := outer.ImageIndex(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return index, said.String()
}

func TestImage(t *testing.T) {
	opts := hello(t.TempDir())
	index, said := built(t, opts)
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	digest, err := index.Digest()
	if err != nil || !strings.Contains(said, digest.String()) {
		t.Errorf("digest %s, %v, not in %q", digest, err, said)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Manifests) != len(opts.platforms) {
		t.Fatalf("%d images, want %d", len(m.Manifests), len(opts.platforms))
	}
	for i, d := range m.Manifests {
		if diff := cmp.Diff(&opts.platforms[i], d.Platform); diff != "" {
			t.Errorf("platform (-want +got):\n%s", diff)
		}
		img, err := index.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		checkConfig(t, img, opts.platforms[i].Architecture)
		checkFiles(t, img, opts.platforms[i].Architecture)
	}
}

func checkConfig(t *testing.T, img v1.Image, arch string) {
	t.Helper()
	got, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	got.RootFS, got.History = v1.RootFS{}, nil
	want := &v1.ConfigFile{
		OS: "linux", Architecture: arch, Created: v1.Time{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		Config: v1.Config{
			Entrypoint: []string{"/reconciler"}, User: "65532:65532", WorkingDir: "/", Env: []string{"HOME=/tmp"},
			Labels: map[string]string{
				"org.opencontainers.image.title":       "prumo",
				"org.opencontainers.image.description": "Keeps on-premise AI infrastructure true to a signed Git repository",
				"org.opencontainers.image.licenses":    "Apache-2.0",
				"org.opencontainers.image.version":     "v1.2.3-more",
				"org.opencontainers.image.created":     "2026-01-02T03:04:05Z",
				"org.opencontainers.image.revision":    strings.Repeat("a", 40),
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: config (-want +got):\n%s", arch, diff)
	}
}

func checkFiles(t *testing.T, img v1.Image, arch string) {
	t.Helper()
	r := mutate.Extract(img)
	defer r.Close()
	var names []string
	files := map[string][]byte{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprintf("%o %s", h.Mode, h.Name))
		if h.Uid != 0 || h.Gid != 0 || !h.ModTime.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
			t.Errorf("%s: owner %d:%d, time %s", h.Name, h.Uid, h.Gid, h.ModTime)
		}
		if files[h.Name], err = io.ReadAll(tr); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"755 etc", "644 etc/group", "644 etc/passwd", "755 etc/ssl", "755 etc/ssl/certs",
		"644 etc/ssl/certs/ca-certificates.crt", "755 reconciler", "1777 tmp"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(files["etc/ssl/certs/ca-certificates.crt"]) {
		t.Error("no certificates")
	}
	checkProgram(t, files["reconciler"], arch)
}

// checkProgram checks that the program needs nothing that the image has not, and
// does not tell where it was built.
func checkProgram(t *testing.T, program []byte, arch string) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]
	if libs, err := f.ImportedLibraries(); f.Machine != want || len(libs) > 0 {
		t.Errorf("machine %s, want %s; libraries %q, %v, want none", f.Machine, want, libs, err)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(program, []byte(dir)) {
		t.Errorf("the program holds the path %s", dir)
	}
	if arch != runtime.GOARCH || runtime.GOOS != "linux" {
		return
	}
	name := filepath.Join(t.TempDir(), "reconciler")
	if err := os.WriteFile(name, program, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), name).Output(); err != nil || string(out) != "hello\n" {
		t.Errorf("the program says %q, %v", out, err)
	}
}

// The same input gives the same bytes, wherever and whenever it is built.
func TestReproducible(t *testing.T) {
	first, second := hello(t.TempDir()), hello(t.TempDir())
	first.platforms, second.platforms = first.platforms[:1], second.platforms[:1]
	built(t, first)
	built(t, second)
	built(t, second) // over what is there
	if diff := cmp.Diff(tree(t, first.out), tree(t, second.out)); diff != "" {
		t.Errorf("files of two builds (-first +second):\n%s", diff)
	}
	second.created = second.created.Add(time.Hour)
	built(t, second)
	if cmp.Equal(tree(t, first.out), tree(t, second.out)) {
		t.Error("another time gives the same files: the comparison is blind")
	}
}

// tree returns the names of all files; those of blobs are their digests.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		hash, _, hashErr := v1.SHA256(bytes.NewReader(data))
		files[name] = hash.String()
		return errors.Join(err, hashErr)
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// The archive holds the layout, file by file.
func TestArchive(t *testing.T) {
	opts := hello(t.TempDir())
	opts.platforms = opts.platforms[:1]
	built(t, opts)
	f, err := os.Open(filepath.Join(opts.out, "image.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := map[string]string{}
	for tr := tar.NewReader(f); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		hash, _, err := v1.SHA256(tr)
		if err != nil {
			t.Fatal(err)
		}
		got[h.Name] = hash.String()
	}
	if diff := cmp.Diff(tree(t, filepath.Join(opts.out, "image")), got); diff != "" {
		t.Errorf("archive (-layout +archive):\n%s", diff)
	}
}

func TestRefuses(t *testing.T) {
	if _, err := parse(t.Context(), []string{"-platforms", "windows/amd64"}); err == nil {
		t.Error("windows is accepted")
	}
	opts := hello(t.TempDir())
	opts.platforms = opts.platforms[:1]
	precious := filepath.Join(opts.out, "image", "precious")
	if err := os.MkdirAll(precious, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), opts, io.Discard); err == nil || !strings.Contains(err.Error(), "no image layout") {
		t.Errorf("error %v, want a refusal to overwrite", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
	opts.pkg = "./testdata/nothing"
	if err := run(t.Context(), opts, io.Discard); err == nil || !strings.Contains(err.Error(), "testdata/nothing") {
		t.Errorf("error %v, want the compiler's", err)
	}
}
