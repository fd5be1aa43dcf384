package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"prumo.dev/prumo/test/cluster"
	"prumo.dev/prumo/test/forge"
	"prumo.dev/prumo/test/lab"
)

// Options say how the story is told.
type Options struct {
	Out   io.Writer
	Color bool
	Keep  bool // leave all of it running until ctx ends
}

// A story is one telling.
type story struct {
	Options
	begin   time.Time
	chapter int

	dir     string
	exe     string // this program
	lab     *lab.Lab
	cluster *cluster.Cluster
	forge   *forge.Server
}

// Run tells the story. It needs the control plane's binaries, or a clone of the
// project to build them in.
func Run(ctx context.Context, opts Options) (err error) {
	s := &story{Options: opts, begin: time.Now()}
	if s.exe, err = os.Executable(); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "prumo-demo-"); err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	defer func() {
		if s.cluster != nil {
			if stopped := s.cluster.Stop(); err == nil {
				err = stopped
			}
		}
		if s.forge != nil {
			s.forge.Close()
		}
	}()
	for _, step := range []struct {
		title string
		tell  func(context.Context) error
	}{
		{"A Kubernetes control plane, with the machines of a lab", s.start},
		{"The lab's infra repo: every commit signed", s.push},
		{"Who said so? Every commit is checked, not only the last", s.verify},
		{"What would change?", s.plan},
		{"Make it so", s.apply},
		{"People, and hardware", s.damage},
		{"What has drifted, and who did it?", s.drift},
		{"Put back what may be put back", s.correct},
		{"Somebody pushes an unsigned commit", s.unsigned},
		{"A pull request asks for a change", s.propose},
	} {
		s.chapter++
		s.heading(step.title)
		if err := step.tell(ctx); err != nil {
			return fmt.Errorf("chapter %d: %w", s.chapter, err)
		}
	}
	return s.end(ctx)
}

// end says what to try next, and waits if asked to.
func (s *story) end(ctx context.Context) error {
	fmt.Fprintf(s.Out, "\nThat was the whole loop, in %v.\n", time.Since(s.begin).Round(time.Second))
	if !s.Keep {
		fmt.Fprint(s.Out, `
What to try next:
  reconciler demo --keep                       leave the cluster up and play with it
  reconciler validate examples/infra-repo      break a spec there first
  examples/infra-repo/README.md                make the example your own
  docs/real-cluster.md                         point it at your cluster
`)
		return nil
	}
	fmt.Fprintf(s.Out, `
All of it is still up. In another terminal:
  export KUBECONFIG=%s
  kubectl get nodes -L infra.prumo.dev/zone,infra.prumo.dev/rack
  reconciler run --config %s
  git clone %s infra && cd infra
  git config gpg.format ssh && git config user.signingkey %s
  (change something, git commit -S, git push, and watch the daemon)
Ctrl-C here ends it and removes everything.
`, s.cluster.Kubeconfig(), s.lab.Config, s.lab.Origin, filepath.Join(s.dir, "keys", lab.Root))
	<-ctx.Done()
	return nil
}
