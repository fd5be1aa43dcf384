// Command image builds the container image of the reconciler without a container
// engine: it compiles the program statically and writes an OCI image layout and
// the same as one tar file. The same source, Go version and time give the same
// digest.
//
//	go run ./deploy/image -platforms linux/amd64,linux/arm64
//
// The time in the image is SOURCE_DATE_EPOCH, or that of the commit.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// options say what is built from what.
type options struct {
	pkg       string        // package of the program
	out       string        // folder that receives image/ and image.tar
	platforms []v1.Platform // at least one
	version   string
	revision  string // commit; empty if unknown
	created   time.Time
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	opts, err := parse(ctx, os.Args[1:])
	if err == nil {
		err = run(ctx, opts, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func parse(ctx context.Context, args []string) (options, error) {
	var opts options
	flags := flag.NewFlagSet("image", flag.ExitOnError)
	flags.StringVar(&opts.pkg, "package", "./cmd/reconciler", "package of the program")
	flags.StringVar(&opts.out, "o", "dist", "folder to write to")
	flags.StringVar(&opts.version, "version", git(ctx, "describe", "--tags", "--always", "--dirty"), "version to label the image with")
	platforms := flags.String("platforms", "linux/"+runtime.GOARCH, "comma separated list")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	for p := range strings.SplitSeq(*platforms, ",") {
		platform, err := v1.ParsePlatform(p)
		if err != nil || platform.OS != "linux" || platform.Architecture == "" {
			return options{}, fmt.Errorf("platform %q: want linux/amd64 or linux/arm64", p)
		}
		opts.platforms = append(opts.platforms, *platform)
	}
	opts.revision = git(ctx, "rev-parse", "HEAD")
	seconds := os.Getenv("SOURCE_DATE_EPOCH")
	if seconds == "" {
		seconds = git(ctx, "show", "-s", "--format=%ct", "HEAD")
	}
	epoch, err := strconv.ParseInt("0"+seconds, 10, 64)
	if err != nil {
		return options{}, fmt.Errorf("SOURCE_DATE_EPOCH %q: want seconds since 1970", seconds)
	}
	opts.created = time.Unix(epoch, 0).UTC()
	return opts, nil
}

// git returns what git prints, or nothing where there is no git or no repository.
func git(ctx context.Context, args ...string) string {
	out, err := exec.CommandContext(ctx, "git", args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// run builds the image, writes it and says what it wrote.
func run(ctx context.Context, opts options, stdout io.Writer) error {
	temp, err := os.MkdirTemp("", "prumo-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	certs, err := certificates()
	if err != nil {
		return err
	}
	var images []v1.Image
	for _, p := range opts.platforms {
		binary := filepath.Join(temp, p.Architecture, "reconciler")
		if err := compile(ctx, opts.pkg, p, binary); err != nil {
			return err
		}
		img, err := newImage(binary, certs, p, opts)
		if err != nil {
			return fmt.Errorf("image for %s: %w", p, err)
		}
		images = append(images, img)
	}
	index, err := newIndex(images, opts)
	if err != nil {
		return err
	}
	if err := write(index, opts); err != nil {
		return err
	}
	return describe(stdout, index, opts)
}

// compile builds a static program that does not tell where it was built.
func compile(ctx context.Context, pkg string, p v1.Platform, out string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.OS, "GOARCH="+p.Architecture)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s for %s: %w\n%s", pkg, p, err, output)
	}
	return nil
}

func describe(w io.Writer, index v1.ImageIndex, opts options) error {
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	for _, d := range manifest.Manifests {
		img, err := index.Image(d.Digest)
		if err != nil {
			return err
		}
		size, err := compressedSize(img)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%-12s %s  %.1f MB\n", d.Platform, d.Digest, float64(size)/1e6)
	}
	archive := filepath.Join(opts.out, "image.tar")
	_, err = fmt.Fprintf(w, "%-12s %s\n\nin %s (OCI layout) and %s (the same as one file). To put it into a registry:\n  skopeo copy --all oci-archive:%s docker://REGISTRY/prumo/reconciler:%s\n",
		"index", digest, filepath.Join(opts.out, "image"), archive, archive, opts.tag())
	return err
}
