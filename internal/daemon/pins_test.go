package daemon_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"prumo.dev/prumo/examples"
	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/test/cluster/clustertest"
	"prumo.dev/prumo/test/gitrepo"
	"prumo.dev/prumo/test/lab"
)

// A house is a repo with one app, whose image is named by a tag of a real registry.
// The policy lets in both images that the tag has in its life.
type house struct {
	*world
	namespace string
	tag       name.Tag
	images    [2]string // repository@digest
}

const appKind = `package kinds

import "prumo.dev/schemas"

kinds: App: schemas.#Kind & {
	in: schemas.#Envelope & {kind: "App", spec: {image!: string, replicas!: int}}
	objects: app: {
		apiVersion: "apps/v1", kind: "Deployment", metadata: {name: in.metadata.name, namespace: "NAMESPACE"}
		spec: {
			replicas: in.spec.replicas
			selector: matchLabels: app: in.metadata.name
			template: {metadata: labels: app: in.metadata.name, spec: containers: [{name: "app", image: in.spec.image}]}
		}
	}
}
`

func newHouse(t *testing.T) *house {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	h := &house{world: &world{cluster: clustertest.Workloads(t)}}
	h.admin = kubernetes.NewForConfigOrDie(h.cluster.Config())
	ns, err := h.admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "pins-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h.namespace = ns.Name
	if h.tag, err = name.NewTag(strings.TrimPrefix(server.URL, "http://") + "/ml/app:1"); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{1, 0} {
		h.images[i] = h.push(t)
	}
	h.build(t)
	return h
}

// push puts a new image behind the tag.
func (h *house) push(t *testing.T) string {
	t.Helper()
	img, err := random.Image(64, 1)
	if err == nil {
		err = remote.Write(h.tag, img)
	}
	if err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h.tag.Repository.Digest(digest.String()).String()
}

// build makes the repo and the daemon's configuration.
func (h *house) build(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	h.lab = &lab.Lab{Dir: dir, Origin: filepath.Join(dir, "origin.git"), Trust: filepath.Join(dir, "trust.yaml"),
		Config: filepath.Join(dir, "config.yaml"), Keys: map[string]*gitrepo.Key{}}
	key, err := h.lab.NewKey(lab.Root)
	if err == nil {
		h.lab.Repo, err = gitrepo.New(filepath.Join(dir, "author.git"))
	}
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, ".prumo/policy.yaml", fmt.Sprintf(`apiVersion: prumo.dev/v1alpha1
kind: TrustPolicy
version: 1
principals: {%s: {kind: human, keys: [{ssh: %q}]}}
rules: [{name: all, paths: ["**"], signers: [%s]}]
images: {rules: [{match: "%s/ml/*", digests: [%q, %q]}]}
`, lab.Root, key.Public(), lab.Root, h.tag.RegistryStr(), digestOf(h.images[0]), digestOf(h.images[1])))
	h.write(t, "cue.mod/module.cue", "module: \"lab.example/infra@v0\"\nlanguage: version: \"v0.17.0\"\ndeps: \"prumo.dev/schemas@v0\": v: \"v0.1.0\"\n")
	site, err := fs.ReadFile(examples.InfraRepo(), "site.cue")
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, "site.cue", string(site))
	h.write(t, "kinds/app.cue", strings.ReplaceAll(appKind, "NAMESPACE", h.namespace))
	introduction, err := h.lab.Commit(lab.Root, "begin")
	if err == nil {
		err = h.lab.WriteTrust(introduction)
	}
	if err == nil {
		err = h.lab.WriteConfig(h.cluster.Kubeconfig(), "stateNamespace: "+h.namespace)
	}
	if err != nil {
		t.Fatal(err)
	}
	cfg, problems, err := config.Load(h.lab.Config)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	h.cfg, cfg.Instance, cfg.Interval = cfg, "pins", config.Duration(200*time.Millisecond)
	h.scale(t, 0)
}

func digestOf(image string) string { _, digest, _ := strings.Cut(image, "@"); return digest }

func (h *house) write(t *testing.T, file, text string) {
	t.Helper()
	if err := h.lab.Repo.Write(file, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// scale commits how often the app runs; its tag stays.
func (h *house) scale(t *testing.T, replicas int) {
	t.Helper()
	h.commit(t, lab.Root, func() error {
		return h.lab.Repo.Write("apps/app.yaml", fmt.Appendf(nil,
			"apiVersion: prumo.dev/v1alpha1\nkind: App\nmetadata: {name: app}\nspec: {image: %q, replicas: %d}\n", h.tag, replicas))
	})
}

// untilRuns waits until the head of the repo is in force, and checks what runs.
func (h *house) untilRuns(t *testing.T, image string, replicas int) {
	t.Helper()
	head := h.lab.Repo.Head()
	h.untilStatus(t, "the repo is in force", func(rep core.Report) error {
		if rep.Revision.Commit != head || len(rep.Problems)+len(rep.Errors) > 0 || rep.Plan == nil || !rep.Plan.Empty() || !rep.Drift.Empty() {
			return fmt.Errorf("in force %s, problems %v, errors %v, plan %+v, drift %+v", rep.Revision.Commit, rep.Problems, rep.Errors, rep.Plan, rep.Drift)
		}
		return nil
	})
	app, err := h.admin.AppsV1().Deployments(h.namespace).Get(t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := app.Spec.Template.Spec.Containers[0].Image; got != image || int(*app.Spec.Replicas) != replicas {
		t.Errorf("%d of %s run, want %d of %s", *app.Spec.Replicas, got, replicas, image)
	}
}

// TestPinsOutliveTheDisk has a tag moved to an image that may run as well, and the
// daemon lose its disk: what was verified goes on running, through later commits too.
// Only when the cluster forgets as well is the tag resolved anew.
func TestPinsOutliveTheDisk(t *testing.T) {
	h := newHouse(t)
	stop := h.start(t)
	h.untilRuns(t, h.images[0], 0)
	stop(t)

	moved, err := name.NewDigest(h.images[1])
	if err == nil {
		err = h.retag(moved)
	}
	if err = errors.Join(err, os.RemoveAll(h.cfg.StateDir)); err != nil {
		t.Fatal(err)
	}
	stop = h.start(t)
	h.untilRuns(t, h.images[0], 0)
	h.scale(t, 1)
	h.untilRuns(t, h.images[0], 1)
	stop(t)

	for i := range 8 {
		err := h.admin.CoreV1().ConfigMaps(h.namespace).Delete(t.Context(), fmt.Sprintf("prumo-state-images-%d", i), metav1.DeleteOptions{})
		if err != nil && !strings.Contains(err.Error(), "not found") {
			t.Fatal(err)
		}
	}
	stop = h.start(t)
	h.untilRuns(t, h.images[1], 1)
	stop(t)
}

// retag has the tag name an image that the registry has.
func (h *house) retag(image name.Digest) error {
	img, err := remote.Image(image)
	if err != nil {
		return err
	}
	return remote.Tag(h.tag, img)
}
