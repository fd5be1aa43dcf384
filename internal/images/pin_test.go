package images

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"

	"prumo.dev/prumo/internal/core"
)

// deployment is a rendering of one spec with one image, and of one that needs it.
func deployment(image string) core.Rendering {
	app, user := core.SpecID{Kind: "MLTool", Name: "app"}, core.SpecID{Kind: "Workspace", Name: "user"}
	pod := map[string]any{"containers": []any{map[string]any{"name": "app", "image": image}}}
	return core.Rendering{
		Specs: []core.Spec{{ID: app}, {ID: user, Refs: []core.SpecID{app}}, {ID: core.SpecID{Kind: "Dataset", Name: "d"}}},
		Objects: []core.Object{
			{ID: core.ObjectID{Kind: "Pod", Name: "app"}, Spec: app, Pos: core.Pos{File: "tools/app.yaml", Line: 1, Col: 1}, Fields: map[string]any{"spec": pod}},
			{ID: core.ObjectID{Kind: "ConfigMap", Name: "user"}, Spec: user, Fields: map[string]any{}},
			{ID: core.ObjectID{Kind: "ConfigMap", Name: "data"}, Spec: core.SpecID{Kind: "Dataset", Name: "d"}, Fields: map[string]any{}},
		},
	}
}

func imageOf(t *testing.T, r core.Rendering) string {
	t.Helper()
	uses := Find(r.Objects, nil)
	if len(uses) != 1 {
		t.Fatalf("%d images, want 1; problems: %v", len(uses), r.Problems)
	}
	return uses[0].Image
}

func tree() core.Tree { return core.Tree{FS: fstest.MapFS{}} }

func policyOf(p *core.ImagePolicy) func(fs.FS) (*core.ImagePolicy, []core.Problem, error) {
	return func(fs.FS) (*core.ImagePolicy, []core.Problem, error) { return p, nil, nil }
}

// TestMovedTag proves that a tag means what it meant when it was first applied,
// across restarts, whatever the registry says of it later (71).
func TestMovedTag(t *testing.T) {
	w, key := newWorld(t), newKey(t)
	first := w.push("ml/app:1")
	w.sign(key, first, first)
	policy := &core.ImagePolicy{Rules: []core.ImageRule{{Match: w.host + "/ml/*", AllOf: []core.ImageSigner{key.signer()}}}}
	opts := Options{Documents: newDocuments(t), Policy: policyOf(policy)}
	image, want := w.host+"/ml/app:1", w.host+"/ml/app@"+first.DigestStr()

	v := newVerifier(t, opts)
	got := must(v.Pin(t.Context(), tree(), deployment(image)))(t)
	if imageOf(t, got) != want {
		t.Errorf("pinned to %s, want %s", imageOf(t, got), want)
	}
	if err := v.Keep(t.Context(), core.Rendering{}); err != nil {
		t.Fatal(err)
	}
	w.push("ml/app:1") // moved, and unsigned
	v = newVerifier(t, opts)
	got = must(v.Pin(t.Context(), tree(), deployment(image)))(t)
	if imageOf(t, got) != want {
		t.Errorf("after a restart and a moved tag: pinned to %s, want %s", imageOf(t, got), want)
	}
	w.server.Close()
	if got := must(v.Recall(t.Context(), tree(), deployment(image)))(t); imageOf(t, got) != want {
		t.Errorf("recalled %s, want %s", imageOf(t, got), want)
	}
	got = must(v.Pin(t.Context(), tree(), deployment(image)))(t)
	if imageOf(t, got) != want {
		t.Errorf("what passed once needs no registry; got %s", imageOf(t, got))
	}
}

// TestPinBlocks proves that a refused image takes out the objects of its spec and
// of those that need it, and nothing else.
func TestPinBlocks(t *testing.T) {
	w, key := newWorld(t), newKey(t)
	it := w.push("ml/app:1")
	policy := &core.ImagePolicy{Rules: []core.ImageRule{{Match: w.host + "/ml/*", AllOf: []core.ImageSigner{key.signer()}}}}
	v := newVerifier(t, Options{Policy: policyOf(policy)})
	got := must(v.Pin(t.Context(), tree(), deployment(it.String())))(t)
	var left []string
	for _, o := range got.Objects {
		left = append(left, o.ID.Name)
	}
	if diff := cmp.Diff([]string{"data"}, left); diff != "" {
		t.Errorf("objects (-want +got)\n%s", diff)
	}
	check(t, got.Problems, "no valid signature")
	if p := got.Problems[0]; p.Pos.File != "tools/app.yaml" || p.Spec.Name != "app" {
		t.Errorf("the problem is at %s of %s", p.Pos, p.Spec)
	}
	w.sign(key, it, it) // nothing remembers the refusal
	if got := must(v.Pin(t.Context(), tree(), deployment(it.String())))(t); len(got.Problems) > 0 {
		t.Errorf("signed since: %v", got.Problems)
	}
}

// TestRecallForgetsRefused proves that after a restart only what was let in counts
// as applied: an image that passed, under the rule that the policy of that time has
// for it.
func TestRecallForgetsRefused(t *testing.T) {
	w, key, other := newWorld(t), newKey(t), newKey(t)
	first, second, unsigned := w.push("ml/app:1"), w.push("ml/app:2"), w.push("ml/app:3")
	w.sign(key, first, first)
	w.sign(key, second, second)
	w.sign(other, second, second)
	rule := func(k keyPair) *core.ImagePolicy {
		return &core.ImagePolicy{Rules: []core.ImageRule{{Match: w.host + "/ml/*", AllOf: []core.ImageSigner{k.signer()}}}}
	}
	docs := newDocuments(t)
	start := func(policy *core.ImagePolicy) *Verifier {
		return newVerifier(t, Options{Documents: docs, Policy: policyOf(policy)})
	}
	for _, pass := range []struct {
		policy *core.ImagePolicy
		image  string
	}{
		{rule(key), first.String()}, {rule(key), unsigned.String()}, {rule(key), w.host + "/ml/app:2"},
		{rule(other), first.String()}, {rule(other), w.host + "/ml/app:2"},
	} {
		v := start(pass.policy)
		must(v.Pin(t.Context(), tree(), deployment(pass.image)))(t)
		if err := v.Keep(t.Context(), core.Rendering{}); err != nil {
			t.Fatal(err)
		}
	}
	guess := deployment(first.String())
	guess.Objects[0].ID.Group, guess.Objects[0].Fields = "lab.example", map[string]any{"spec": map[string]any{"image": first.String()}}
	for name, tc := range map[string]struct {
		policy *core.ImagePolicy
		before core.Rendering
		want   int
	}{
		"let in":                     {rule(key), deployment(first.String()), 3},
		"by a tag":                   {rule(key), deployment(w.host + "/ml/app:2"), 3},
		"by a later rule":            {rule(other), deployment(w.host + "/ml/app:2"), 3},
		"refused":                    {rule(key), deployment(unsigned.String()), 1},
		"let in by another rule":     {rule(other), deployment(first.String()), 1},
		"no rule":                    {&core.ImagePolicy{}, deployment(first.String()), 1},
		"by a tag that was not used": {rule(key), deployment(w.host + "/ml/app:1"), 1},
		"where nobody declared it":   {rule(key), guess, 1},
		"no name of an image":        {rule(key), deployment("UPPER CASE"), 1},
	} {
		got := must(start(tc.policy).Recall(t.Context(), tree(), tc.before))(t)
		if len(got.Objects) != tc.want || len(got.Problems) > 0 {
			t.Errorf("%s: %d objects and %d problems, want %d and none", name, len(got.Objects), len(got.Problems), tc.want)
		}
	}
}

// TestPolicyTurns proves that a verdict does not outlive its rule, and that
// nothing is verified without rules.
func TestPolicyTurns(t *testing.T) {
	w, key, other := newWorld(t), newKey(t), newKey(t)
	it := w.push("ml/app:1")
	w.sign(key, it, it)
	policy := &core.ImagePolicy{Rules: []core.ImageRule{{Match: w.host + "/ml/*", AllOf: []core.ImageSigner{key.signer()}}}}
	v := newVerifier(t, Options{})
	uses := []Use{{Image: it.String()}}
	_, problems := v.Resolve(t.Context(), *policy, uses)
	check(t, problems, "")
	policy.Rules[0].AllOf[0] = other.signer()
	_, problems = v.Resolve(t.Context(), *policy, uses)
	check(t, problems, "no valid signature")
	if got := must(v.Pin(t.Context(), tree(), deployment("x:1")))(t); imageOf(t, got) != "x:1" {
		t.Errorf("no policy, and yet %s", imageOf(t, got))
	}
	_, problems = v.Resolve(t.Context(), core.ImagePolicy{}, []Use{{Image: "x:1", Path: ".spec.image", Guess: true}})
	check(t, problems, "images.fields")
}

// TestIndex proves that a signature counts for exactly the digest that is run: an
// index is not its children, nor the other way round (72).
func TestIndex(t *testing.T) {
	w, key := newWorld(t), newKey(t)
	img := must(random.Image(64, 1))(t)
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img})
	tag := must(name.NewTag(w.host + "/ml/app:1"))(t)
	if err := remote.WriteIndex(tag, index); err != nil {
		t.Fatal(err)
	}
	whole := tag.Digest(must(index.Digest())(t).String())
	child := tag.Digest(must(img.Digest())(t).String())
	policy := core.ImagePolicy{Rules: []core.ImageRule{{Match: w.host + "/ml/*", AllOf: []core.ImageSigner{key.signer()}}}}
	v := newVerifier(t, Options{})
	w.sign(key, whole, whole)
	_, problems := v.Resolve(t.Context(), policy, []Use{{Image: whole.String()}})
	check(t, problems, "")
	_, problems = v.Resolve(t.Context(), policy, []Use{{Image: child.String()}})
	check(t, problems, "no valid signature")
}

// TestNoSCT proves that a certificate that no certificate log knows is refused.
func TestNoSCT(t *testing.T) {
	w, vs := newWorld(t), must(ca.NewVirtualSigstore())(t)
	bot := person{vs, "imgbot@lab.example", "https://accounts.lab.example"}
	it := w.push("ml/app:1")
	w.keyless(bot, it, it, it, time.Now().Add(time.Second))
	policy := core.ImagePolicy{Rules: []core.ImageRule{{Match: w.host + "/ml/*", AllOf: []core.ImageSigner{bot.signer()}}}}
	v := newVerifier(t, Options{})
	_, problems := v.Resolve(t.Context(), policy, []Use{{Image: it.String()}})
	check(t, problems, "images.sigstoreRoot")
	v.root = vs
	_, problems = v.Resolve(t.Context(), policy, []Use{{Image: it.String()}})
	check(t, problems, "SCT")
}

// TestBounded proves what no registry may answer (80).
func TestBounded(t *testing.T) {
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if _, err := zip.Write([]byte("{}")); err != nil || zip.Close() != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		url    string
		asked  int32
		want   error
	}{
		"long":    {answer: func(rw http.ResponseWriter, _ *http.Request) { rw.Write(make([]byte, maxBody+1)) }, want: errBody},
		"endless": {answer: func(rw http.ResponseWriter, _ *http.Request) { io.Copy(rw, zeros{}) }, want: errBody},
		"packed":  {answer: func(rw http.ResponseWriter, _ *http.Request) { rw.Write(packed.Bytes()) }, want: errPacked},
		"plain":   {url: "http://registry.lab.example/v2/", want: errPlain},
		"private": {url: "http://10.0.0.1/v2/", want: errPlain}, // an address that clients of registries take for safe
		"often":   {asked: maxRequests, want: errRequests},
		"short":   {answer: func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, "{}") }},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.answer)
			defer server.Close()
			if tc.url == "" {
				tc.url = server.URL
			}
			b := &bounded{to: must(newRegistries(nil))(t)}
			b.requests.Store(tc.asked)
			req := must(http.NewRequestWithContext(t.Context(), "GET", tc.url, nil))(t)
			resp, err := b.RoundTrip(req)
			if err == nil {
				defer resp.Body.Close()
				_, err = io.Copy(io.Discard, resp.Body)
			}
			if err != tc.want {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestCredentials proves that credentials go to their registry alone.
func TestCredentials(t *testing.T) {
	r := must(newRegistries([]Registry{
		{Host: "a.example", Username: "robot", Password: "one"},
		{Host: "b.example:5000", DockerConfig: []byte(`{"auths": {"b.example:5000": {"auth": "cm9ib3Q6dHdv"}, "a.example": {"auth": "eDp5"}}, "credsStore": "evil"}`)},
	}))(t)
	for host, want := range map[string]string{"a.example": "one", "b.example:5000": "two", "b.example": "", "c.example": ""} {
		auth := must(r.Resolve(must(name.NewRegistry(host))(t)))(t)
		if got := must(auth.Authorization())(t).Password; got != want {
			t.Errorf("%s gets the password %q, want %q", host, got, want)
		}
	}
	for _, bad := range []Registry{
		{Host: "a.example", DockerConfig: []byte(`{"auths": secret`)},
		{Host: "a.example", DockerConfig: []byte(`{"credsStore": "evil"}`)},
		{Host: "a.example", CA: []byte("none")},
	} {
		if _, err := newRegistries([]Registry{bad}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v", err)
		}
	}
}
