package chaos

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/test/chaos/wire"
)

var all = flag.Bool("all", false, "kill at every write in every way; else at every third")

// A tale is a change that needs every verb of the engine: create, update, adopt,
// take over, replace, delete, release, merge taints, define a kind and use it, make
// a namespace and fill it; and a claim that leaves the repo and must not go.
type tale struct {
	*world
	uids     map[string]string // as they were at the start
	foreign  string            // the resourceVersion of what the repo never names
	chapters []core.Rendering  // wanted one after the other; the last with approval
}

func (w *world) configMap(name, value string, more ...string) core.Object {
	return object(fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s%s}\ndata: {key: '%s'}",
		name, w.name, strings.Join(more, ""), value))
}

// frozen is an object that can only be replaced.
func (w *world) frozen(name, value string) core.Object {
	o := w.configMap(name, value)
	o.Fields["immutable"] = true
	return o
}

func (w *world) node(taint string) core.Object {
	return object(fmt.Sprintf("apiVersion: v1\nkind: Node\nmetadata: {name: %s}\nspec: {taints: [{key: %s, effect: NoSchedule}]}", w.name, taint))
}

func (w *world) claim() core.Object {
	return object("apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: claim, namespace: " + w.name +
		"}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}")
}

func lampDefinition(w *world) core.Object {
	group := w.name + ".example"
	return object(`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: lamps.` + group + `}, spec: {group: ` + group + `,
  scope: Namespaced, names: {kind: Lamp, plural: lamps}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema:
  {type: object, properties: {spec: {type: object, properties: {on: {type: boolean}}}}}}}]}}`)
}

func (w *world) lamp() core.Object {
	return object("apiVersion: " + w.name + ".example/v1\nkind: Lamp\nmetadata: {name: desk, namespace: " + w.name + "}\nspec: {on: true}")
}

// newTale makes the state from which every run starts.
func newTale(t *testing.T) *tale {
	t.Helper()
	w := shared(t)
	tl := &tale{world: w, uids: map[string]string{}}
	w.make(t, "apiVersion: v1\nkind: Node\nmetadata: {name: "+w.name+"}\nspec: {taints: [{key: theirs, effect: NoExecute}]}")
	for _, name := range []string{"adopt", "take", "release"} {
		w.make(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata: {key: was, more: stays}", name, w.name))
	}
	tl.foreign = w.make(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: foreign, namespace: "+w.name+"}").GetResourceVersion()
	first := rendering(w.configMap("update", "1"), w.configMap("gone", "1"), w.configMap("release", "was"), w.frozen("replace", "1"), w.node("a"), w.claim())
	w.repo.commit(first)
	w.start(t, oneShot).settle(t, nil)
	w.writes = nil
	for _, o := range slices.Concat(first.Objects, []core.Object{w.configMap("adopt", ""), w.configMap("take", "")}) {
		tl.uids[o.ID.Name] = uidOf(w.live(t, o))
	}
	t.Cleanup(func() {
		_ = w.of(lampDefinition(w)).Delete(context.Background(), lampDefinition(w).ID.Name, metav1.DeleteOptions{})
	})
	room := object("apiVersion: v1\nkind: Namespace\nmetadata: {name: " + w.name + "-room}")
	inRoom := w.configMap("new", "2")
	inRoom.ID.Namespace, inRoom.Fields["metadata"].(map[string]any)["namespace"] = room.ID.Name, room.ID.Name
	inRoom.Spec.Name = "in-room"
	second := rendering(w.configMap("new", "2"), w.configMap("update", "2"), w.configMap("adopt", "was"),
		w.configMap("take", "2", ", annotations: {prumo.dev/conflicts: take}"), w.frozen("replace", "2"), w.node("b"),
		lampDefinition(w), w.lamp(), room, inRoom)
	tl.chapters = []core.Rendering{second, rendering(append(slices.Clone(second.Objects), w.claim())...)}
	return tl
}

// tell lets a process live through what is left of the tale, or until it is
// killed. Approvals come with the last chapter.
func (tl *tale) tell(t *testing.T, p *process) {
	for {
		next := len(tl.repo.history) - 1 // the first rendering was before
		approve := next == len(tl.chapters)
		for quiet := false; !quiet; {
			before := len(p.wire.Writes())
			rep, err := p.pass(t)
			stale := err != nil && p.Approved != "" // the plan was half done, so that there is another now
			p.approve("")
			if approve && err == nil && approvable(rep) {
				p.approve(rep.Plan.Hash)
				continue
			}
			select {
			case <-p.wire.Killed():
				return
			default:
			}
			if stale {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			quiet = len(p.wire.Writes()) == before
		}
		if approve {
			return
		}
		tl.repo.commit(tl.chapters[next])
	}
}

// check proves that the tale has ended as it should, whoever told it.
func (tl *tale) check(t *testing.T) {
	t.Helper()
	deleted := tl.deleted()
	want := map[string]string{tl.uids["gone"]: "gone", tl.uids["replace"]: "replace"}
	for uid, path := range deleted {
		if want[uid] == "" {
			t.Errorf("deleted what was not to go: %s", path)
		}
	}
	deletes := 0
	for uid, name := range want {
		switch live := tl.live(t, tl.configMap(name, "")); {
		case deleted[uid] != "":
		case uidOf(live) != uid && slices.ContainsFunc(tl.writes, func(x wire.Write) bool {
			return x.Method == "DELETE" && strings.HasSuffix(x.Path, "/"+name) && x.Unsure()
		}):
			deletes++
		default:
			t.Errorf("%s (%s) was not deleted by us: it is %v now, and we wrote %v", name, uid, live, tl.writes)
		}
	}
	for _, x := range tl.writes {
		if x.Method == "DELETE" && x.Status == 200 {
			deletes++
		}
	}
	if deletes != len(want) {
		t.Errorf("%d deletions, want %d: %v", deletes, len(want), tl.writes)
	}
	for _, o := range []core.Object{tl.configMap("update", ""), tl.configMap("adopt", ""), tl.configMap("take", ""), tl.configMap("release", ""), tl.node(""), tl.claim()} {
		if uid := uidOf(tl.live(t, o)); uid != tl.uids[o.ID.Name] {
			t.Errorf("%s is another object: uid %q, was %q", o.ID, uid, tl.uids[o.ID.Name])
		}
	}
	for name, origin := range map[string]string{"new": "created", "update": "created", "replace": "created", "adopt": "adopted", "take": "adopted", "release": ""} {
		live := tl.live(t, tl.configMap(name, ""))
		if got := live.GetAnnotations()[core.AnnotationOrigin]; got != origin {
			t.Errorf("%s: origin %q, want %q", name, got, origin)
		}
	}
	if live := tl.live(t, tl.configMap("release", "")); differs(map[string]any{"data": map[string]any{"key": "was", "more": "stays"}}, live.Object, "") != "" {
		t.Errorf("what was released is %v", live.Object["data"])
	}
	if got := tl.live(t, tl.configMap("foreign", "")).GetResourceVersion(); got != tl.foreign {
		t.Error("what the repo never named was written to")
	}
	node := object(fmt.Sprintf("{apiVersion: v1, kind: Node, metadata: {name: %s}, spec: {taints: [{key: theirs, effect: NoExecute}, {key: b, effect: NoSchedule}]}}", tl.name))
	live := tl.live(t, node)
	if why := differs(node.Fields, live.Object, ""); why != "" {
		t.Errorf("node: %s", why)
	}
	if taints, _ := live.Object["spec"].(map[string]any)["taints"].([]any); len(taints) != 2 {
		t.Errorf("taints %v", taints)
	}
}

// finish lets a new process end the tale, and checks everything.
func (tl *tale) finish(t *testing.T, v view) {
	t.Helper()
	p := tl.start(t, v)
	tl.tell(t, p)
	p.settle(t, func(core.Report) bool { return true })
	p.stop()
	tl.check(t)
}

// TestKilledAtEachWrite kills the process at each of its writes in turn, before it
// is sent and before its answer is seen, and lets another go on.
func TestKilledAtEachWrite(t *testing.T) {
	tl := newTale(t)
	p := tl.start(t, oneShot)
	tl.tell(t, p)
	writes := p.wire.Writes()
	p.stop()
	tl.finish(t, oneShot)
	if t.Failed() || len(writes) < 14 {
		t.Fatalf("not even without a kill, %d writes: %v", len(writes), writes)
	}
	every := 3
	if *all {
		every = 1
	}
	for k := 1; k <= len(writes); k++ {
		for i, sent := range []bool{false, true} {
			for j, v := range []view{oneShot, watched} {
				if (k+i+j)%every != 0 {
					continue
				}
				t.Run(fmt.Sprintf("%d_%s_sent=%t_%s", k, writes[k-1].Method, sent, v), func(t *testing.T) {
					t.Parallel()
					tl := newTale(t)
					p := tl.start(t, v)
					p.wire.KillAt(k, sent)
					tl.tell(t, p)
					p.stop()
					tl.finish(t, v)
				})
			}
		}
	}
}
