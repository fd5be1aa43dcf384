package daemon_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"

	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/daemon"
	"prumo.dev/prumo/internal/proposals"
	"prumo.dev/prumo/internal/reconcile"
	"prumo.dev/prumo/internal/report"
	"prumo.dev/prumo/internal/source"
	"prumo.dev/prumo/test/cluster"
	"prumo.dev/prumo/test/cluster/clustertest"
	"prumo.dev/prumo/test/fixtures"
	"prumo.dev/prumo/test/forge"
	"prumo.dev/prumo/test/lab"
)

// rawKind renders and expects any object: what a hostile proposal would bring.
const rawKind = `package kinds

import "prumo.dev/schemas"

#Raw: schemas.#Envelope & {
	kind: "Raw"
	spec: {
		objects: [string]: {...}
		expects: [string]: {...}
	}
}

kinds: Raw: schemas.#Kind & {
	in:      #Raw
	site:    _
	deps:    _
	objects: in.spec.objects
	expects: in.spec.expects
}
`

func raw(name, spec string) string {
	return fmt.Sprintf("apiVersion: prumo.dev/v1alpha1\nkind: Raw\nmetadata: {name: %s}\nspec:\n%s", name, indent(spec))
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ") + "\n"
}

// A proposer is a lab whose base renders some objects of its own, beside objects of
// others, and a planner of what is proposed to it.
type proposer struct {
	*lab.Lab
	cfg     *config.Config
	client  dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
	forge   *forge.Server
	src     *source.Source
	rec     *reconcile.Reconciler
	planner *proposals.Planner
}

// owned is what the repo declares: objects that carry our mark.
const owned = `
objects:
  config: {apiVersion: v1, kind: ConfigMap, metadata: {name: owned, namespace: other-team}, data: {a: one}}
  secret: {apiVersion: v1, kind: Secret, metadata: {name: owned, namespace: other-team}, stringData: {pw: declared}}
  widget: {apiVersion: lab.example/v1, kind: Widget, metadata: {name: owned, namespace: other-team}, spec: {size: 1}}
  account: {apiVersion: v1, kind: ServiceAccount, metadata: {name: owned, namespace: other-team, annotations: {a: one}}}
expects: {}
`

const widgets = `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: widgets.lab.example},
spec: {group: lab.example, scope: Namespaced, names: {kind: Widget, plural: widgets},
versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}}`

func newProposer(t *testing.T) *proposer {
	t.Helper()
	c := clustertest.Own(t, cluster.Options{Workloads: true})
	err := c.AddNodes(t.Context(), fixtures.Nodes())
	if err != nil {
		t.Fatal(err)
	}
	p := new(proposer)
	if p.Lab, err = lab.New(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	p.forge = forge.NewServer(forge.Gitea)
	t.Cleanup(p.forge.Close)
	if err := os.WriteFile(filepath.Join(p.Dir, "forge-token"), []byte(p.forge.Token("prumo")), 0o600); err != nil {
		t.Fatal(err)
	}
	err = p.WriteConfig(c.Kubeconfig(), fmt.Sprintf("forge: {type: github, url: %q, repo: %q, tokenFile: forge-token, status: true}", p.forge.URL(), forge.Repo))
	if err != nil {
		t.Fatal(err)
	}
	var problems []core.Problem
	if p.cfg, problems, err = config.Load(p.Config); err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	if p.client, err = dynamic.NewForConfig(c.Config()); err != nil {
		t.Fatal(err)
	}
	disco, err := discovery.NewDiscoveryClientForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	p.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco))
	p.put(t, widgets)
	p.put(t, "{apiVersion: v1, kind: Namespace, metadata: {name: other-team}}")
	p.write(t, Root, "kinds/raw.cue", rawKind)
	p.write(t, "flo", "tools/owned.yaml", raw("owned", owned))
	if err := p.Push(); err != nil {
		t.Fatal(err)
	}
	if p.src, problems, err = daemon.Source(p.cfg); err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	if p.rec, err = daemon.Reconciler(p.cfg, p.src, daemon.Options{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the repo is in force", func() error {
		rep, err := p.rec.Reconcile(t.Context())
		if err == nil && rep.Result.Count(core.StatusFailed)+rep.Result.Count(core.StatusBlocked) > 0 {
			err = fmt.Errorf("%+v", rep.Result.Outcomes)
		}
		return err
	})
	if p.planner, err = daemon.Planner(p.cfg, p.src, p.rec, p.rec.InForce); err != nil {
		t.Fatal(err)
	}
	return p
}

// Root is who may change kinds.
const Root = lab.Root

func (p *proposer) write(t *testing.T, who, path, text string) {
	t.Helper()
	if err := p.Repo.Write(path, []byte(text)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Commit(who, path); err != nil {
		t.Fatal(err)
	}
}

// propose makes a pull request of a Raw spec, signed by who.
func (p *proposer) propose(t *testing.T, branch, who, spec string) forge.Pull {
	t.Helper()
	if err := p.Repo.Checkout("main"); err != nil {
		t.Fatal(err)
	}
	base := p.Repo.Head()
	if err := p.Repo.Branch(branch); err != nil {
		t.Fatal(err)
	}
	p.write(t, who, "tools/"+branch+".yaml", raw(branch, spec))
	if err := p.Push(); err != nil {
		t.Fatal(err)
	}
	pull := forge.Pull{Title: branch, Author: "mallory", HeadRef: branch, HeadSHA: p.Repo.Head(), BaseRef: "main", BaseSHA: base}
	return p.forge.Pull(p.forge.AddPull(pull))
}

// comment plans all pull requests and returns what everybody can read of one: its
// comment and its status.
func (p *proposer) comment(t *testing.T, pull forge.Pull, log *bytes.Buffer) string {
	t.Helper()
	w := &proposals.Worker{Planner: p.planner, Attempts: proposals.NewAttempts(attempts{}), Interval: time.Minute,
		Log: slog.New(slog.NewTextHandler(log, nil))}
	if err := w.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	comments, statuses := p.forge.Comments(pull.Number), p.forge.Statuses(pull.HeadSHA)
	if len(comments) != 1 || len(statuses) == 0 {
		t.Fatalf("%d comments, %d statuses; the log: %s", len(comments), len(statuses), log)
	}
	return times.ReplaceAllString(fmt.Sprintf("%s\n%+v", comments[0].Body, statuses[len(statuses)-1]), "TIME")
}

var times = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|hash=[0-9a-f]{64} at=\S+|took=\S+|time=\S+`)

// moving are metrics of the process itself, and of time.
var moving = regexp.MustCompile(`(?m)^(go_|process_|prumo_[a-z_]*(timestamp|duration|seconds)).*$`)

// attempts remember nothing.
type attempts struct{}

func (attempts) Load(context.Context, string) ([]byte, string, error) { return nil, "", nil }
func (attempts) Save(context.Context, string, []byte, string) (string, error) {
	return "", nil
}

// put applies an object as kubectl would.
func (p *proposer) put(t *testing.T, text string) {
	t.Helper()
	u, client := p.resource(t, text)
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	until(t, "put "+u.GetName(), func() error {
		_, err := client.Patch(t.Context(), u.GetName(), types.ApplyPatchType, data, metav1.PatchOptions{FieldManager: "kubectl", Force: new(true)})
		return err
	})
}

// edit changes an object as kubectl edit would.
func (p *proposer) edit(t *testing.T, text string) {
	t.Helper()
	u, client := p.resource(t, text)
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Patch(t.Context(), u.GetName(), types.MergePatchType, data, metav1.PatchOptions{FieldManager: "kubectl-edit"}); err != nil {
		t.Fatal(err)
	}
}

// replace deletes an object and makes it anew.
func (p *proposer) replace(t *testing.T, text string) {
	t.Helper()
	u, client := p.resource(t, text)
	_ = client.Delete(t.Context(), u.GetName(), metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}) // it may not be there
	until(t, u.GetName()+" is gone", func() error {
		if _, err := client.Get(t.Context(), u.GetName(), metav1.GetOptions{}); err == nil {
			return errors.New("it is there")
		}
		return nil
	})
	p.put(t, text)
}

func (p *proposer) resource(t *testing.T, text string) (*unstructured.Unstructured, dynamic.ResourceInterface) {
	t.Helper()
	u := new(unstructured.Unstructured)
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	gvk := u.GroupVersionKind()
	var client dynamic.ResourceInterface
	until(t, gvk.Kind+" is served", func() error {
		m, err := p.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if err != nil {
			p.mapper.Reset()
			return err
		}
		if client = p.client.Resource(m.Resource); u.GetNamespace() != "" {
			client = p.client.Resource(m.Resource).Namespace(u.GetNamespace())
		}
		return nil
	})
	return u, client
}

// hidden are the values that a proposal must not learn. The first is what it guesses.
var hidden = []string{"hunter2-guessed", "hunter2-otherwise"}

// hide gives every hidden place of the cluster a value.
func (p *proposer) hide(t *testing.T, value string) {
	t.Helper()
	b64 := base64.StdEncoding.EncodeToString([]byte(value))
	// What is not ours.
	p.put(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: foreign, namespace: other-team}, data: {license: "+value+"}}")
	p.put(t, "{apiVersion: v1, kind: Secret, metadata: {name: foreign, namespace: other-team}, data: {pw: "+b64+"}}")
	p.put(t, "{apiVersion: lab.example/v1, kind: Widget, metadata: {name: foreign, namespace: other-team}, spec: {key: "+value+", size: 1}}")
	const container = `{name: c, image: b, command: [sh, "%s"], env: [{name: LEVEL, value: "%[1]s"}]}`
	p.replace(t, "{apiVersion: v1, kind: Pod, metadata: {name: foreign, namespace: other-team}, spec: {restartPolicy: Never, containers: ["+fmt.Sprintf(container, value)+"]}}")
	p.replace(t, "{apiVersion: batch/v1, kind: Job, metadata: {name: foreign, namespace: other-team}, spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: ["+fmt.Sprintf(container, value)+"]}}}}")
	p.limit(t, map[string]int{hidden[0]: 1, hidden[1]: 2}[value])
	// What is ours: a secret that was edited, and fields that the repo does not declare.
	p.put(t, "{apiVersion: v1, kind: Secret, metadata: {name: owned, namespace: other-team}, data: {pw: "+b64+", more: "+b64+"}}")
	p.edit(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: owned, namespace: other-team}, data: {more: "+value+"}}")
	p.edit(t, "{apiVersion: lab.example/v1, kind: Widget, metadata: {name: owned, namespace: other-team}, spec: {more: "+value+"}}")
	p.edit(t, "{apiVersion: v1, kind: ServiceAccount, metadata: {name: owned, namespace: other-team, annotations: {more: "+value+"}}}")
}

// limit allows fewer Secrets than a proposal would bring the namespace to, which has two.
func (p *proposer) limit(t *testing.T, allowed int) {
	t.Helper()
	const quota = `{apiVersion: v1, kind: ResourceQuota, metadata: {name: team-b, namespace: other-team}, spec: {hard: {count/secrets: "%d"}}}`
	text := fmt.Sprintf(quota, allowed)
	p.put(t, text)
	u, client := p.resource(t, text)
	until(t, "the quota counts", func() error {
		now, err := client.Get(t.Context(), u.GetName(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		counts, _, _ := unstructured.NestedString(now.Object, "status", "hard", "count/secrets")
		used, _, _ := unstructured.NestedString(now.Object, "status", "used", "count/secrets")
		if counts != fmt.Sprint(allowed) || used != "2" {
			return fmt.Errorf("%s of %s", used, counts)
		}
		return nil
	})
}

// asked is what the proposals ask about: with each guess right in one of the states.
func asked(value string) string {
	b64 := base64.StdEncoding.EncodeToString([]byte(value))
	return `
objects:
  config: {apiVersion: v1, kind: ConfigMap, metadata: {name: foreign, namespace: other-team}, data: {license: ` + value + `}}
  secret: {apiVersion: v1, kind: Secret, metadata: {name: foreign, namespace: other-team}, data: {pw: ` + b64 + `}}
  widget: {apiVersion: lab.example/v1, kind: Widget, metadata: {name: foreign, namespace: other-team}, spec: {key: ` + value + `, size: 1}}
  pod: {apiVersion: v1, kind: Pod, metadata: {name: foreign, namespace: other-team}, spec: {restartPolicy: Never, containers: [{name: c, image: b, command: [sh, ` + value + `], env: [{name: LEVEL, value: x}]}]}}
  job: {apiVersion: batch/v1, kind: Job, metadata: {name: foreign, namespace: other-team}, spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: c, image: other, command: [sh, ` + value + `]}]}}}}
  quota: {apiVersion: v1, kind: Secret, metadata: {name: new, namespace: other-team}}
  account: {apiVersion: v1, kind: ServiceAccount, metadata: {name: default, namespace: kube-system}, automountServiceAccountToken: true}
expects: {}
`
}

// askedOfOurs changes objects that are ours, to values that are there already in one of the states.
func askedOfOurs(value string) string {
	b64 := base64.StdEncoding.EncodeToString([]byte(value))
	return `
objects:
  config: {apiVersion: v1, kind: ConfigMap, metadata: {name: owned, namespace: other-team}, data: {a: two, more: ` + value + `}}
  secret: {apiVersion: v1, kind: Secret, metadata: {name: owned, namespace: other-team}, data: {pw: ` + b64 + `, more: ` + b64 + `}}
  widget: {apiVersion: lab.example/v1, kind: Widget, metadata: {name: owned, namespace: other-team}, spec: {size: 2, more: ` + value + `}}
  account: {apiVersion: v1, kind: ServiceAccount, metadata: {name: owned, namespace: other-team, annotations: {a: two, more: ` + value + `}}}
expects: {}
`
}

const expectsSecret = `
objects: {}
expects:
  secret: {apiVersion: v1, kind: Secret, metadata: {name: foreign, namespace: other-team}, data: {pw: "=~^a"}}
  config: {apiVersion: v1, kind: ConfigMap, metadata: {name: foreign, namespace: other-team}, data: {license: "=~^hunter2-g"}}
`

// Two states of a cluster that differ only in hidden values give the same bytes in
// everything that readers of a pull request, of the log and of the status can see.
func TestProposalsLearnNothing(t *testing.T) {
	p := newProposer(t)
	pulls := map[string]forge.Pull{
		"unsigned":         p.propose(t, "unsigned", "", asked(hidden[0])),
		"unsigned expects": p.propose(t, "unsigned-expects", "", expectsSecret),
		"signed":           p.propose(t, "signed", "flo", asked(hidden[0])),
		"signed expects":   p.propose(t, "signed-expects", "flo", expectsSecret),
		"no right to it":   p.propose(t, "no-right", "cai", asked(hidden[0])),
	}
	// A change of what the repo declares already.
	if err := p.Repo.Checkout("main"); err != nil {
		t.Fatal(err)
	}
	base := p.Repo.Head()
	if err := p.Repo.Branch("ours"); err != nil {
		t.Fatal(err)
	}
	p.write(t, "flo", "tools/owned.yaml", raw("owned", askedOfOurs(hidden[0])))
	if err := p.Push(); err != nil {
		t.Fatal(err)
	}
	pulls["ours"] = p.forge.Pull(p.forge.AddPull(forge.Pull{Title: "ours", Author: "mallory", HeadRef: "ours", HeadSHA: p.Repo.Head(), BaseRef: "main", BaseSHA: base}))

	var states []map[string]string
	for _, value := range hidden {
		p.hide(t, value)
		var log bytes.Buffer
		seen := map[string]string{}
		for name, pull := range pulls {
			seen[name] = p.comment(t, pull, &log)
		}
		rep, err := p.rec.Drift(t.Context(), p.rec.InForce().Tree)
		if err != nil {
			t.Fatal(err)
		}
		var status bytes.Buffer
		if err := report.JSON(&status, report.Public(rep)); err != nil {
			t.Fatal(err)
		}
		metrics := daemon.NewMetrics()
		if err := daemon.NewReports(config.Report{}, metrics).Report(t.Context(), rep); err != nil {
			t.Fatal(err)
		}
		page := httptest.NewRecorder()
		promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
		seen["metrics"] = moving.ReplaceAllString(page.Body.String(), "")
		seen["status"], seen["log"] = times.ReplaceAllString(status.String(), "TIME"), times.ReplaceAllString(sorted(log.String()), "TIME")
		states = append(states, seen)
	}
	for name, text := range states[0] {
		if diff := cmp.Diff(text, states[1][name]); diff != "" {
			t.Errorf("%s: hidden values show (-%s +%s):\n%s", name, hidden[0], hidden[1], diff)
		}
		if strings.Contains(text+states[1][name], hidden[1]) {
			t.Errorf("%s holds a hidden value:\n%s", name, states[1][name])
		}
		for _, address := range []string{p.cfg.Kubeconfig, "127.0.0.1", "https:"} {
			if name != "log" && strings.Contains(text, address) {
				t.Errorf("%s holds an address of the house, %s:\n%s", name, address, text)
			}
		}
	}
	for name, want := range map[string][]string{
		"unsigned":         {"E-UNSIGNED", "**offline**", "7 to create"},
		"unsigned expects": {"E-UNSIGNED", "**offline**", "is not a Node"},
		"signed":           {"6 to adopt", "1 blocked", "exists, not ours", "exceeds quota team-b"},
		"signed expects":   {"is not a Node", "problem"},
		"no right to it":   {"E-PATH", "6 to adopt"},
		"ours":             {"3 to change", "1 blocked", ".data.pw belongs to kubectl", `annotations.more`, "(not declared before, not shown)", "(hidden, changed)"},
	} {
		for _, text := range want {
			if !strings.Contains(states[0][name], text) {
				t.Errorf("%s: no %q in\n%s", name, text, states[0][name])
			}
		}
	}
}

// sorted are lines without an order: pull requests are planned in turns.
func sorted(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		for j := range i {
			if lines[i] < lines[j] {
				lines[i], lines[j] = lines[j], lines[i]
			}
		}
	}
	return strings.Join(lines, "\n")
}
