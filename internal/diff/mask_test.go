package diff

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

// leak is a value that no plan may show, in any of its shapes.
const leak = "hunter2"

func TestMask(t *testing.T) {
	secret := func(data string) string {
		return `{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: lab}, type: Opaque, ` + data + `}`
	}
	container := func(env string) string {
		return `{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: lab}, spec: {template: {spec: {containers: [{name: c, env: [` + env + `]}]}}}}`
	}
	config := func(data string) string {
		return `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: lab}, data: {` + data + `}}`
	}
	const envPath = ".spec.template.spec.containers[name=c].env"
	tests := []struct {
		name       string
		live, want string
		fields     []string
	}{
		{"changed", secret(`data: {p: hunter2}`), secret(`data: {p: aHVudGVyMg==}`), []string{".data.p: (hidden) -> (hidden, changed)"}},
		{"added", secret(`data: {}`), secret(`data: {p: hunter2}`), []string{".data.p: none -> (hidden)"}},
		{"removed", secret(`data: {p: hunter2}`), secret(`immutable: true`), []string{".data.p: (hidden) -> none", ".immutable: none -> " + text(true)}},
		{"stringData", secret(``), secret(`stringData: {p: hunter2}`), []string{".stringData.p: none -> (hidden)"}},
		{"data that is no map", secret(`data: hunter2`), secret(`data: [hunter2]`), []string{".data: (hidden) -> (hidden, changed)"}},
		{"the type shows", secret(``), strings.Replace(secret(``), "Opaque", "other", 1), []string{".type: Opaque -> other"}},
		{"the name alone, and the server merges the data (CVE-2026-42880)", secret(`data: {p: hunter2}`), secret(`data: {p: hunter2}`), nil},
		{"an annotation with a copy (GHSA-rg3g-4rw9-gqrp)",
			`{apiVersion: v1, kind: Secret, metadata: {name: s, annotations: {kubectl.kubernetes.io/last-applied-configuration: hunter2}}}`,
			`{apiVersion: v1, kind: Secret, metadata: {name: s}}`, nil},
		{"an annotation of a Secret with anything",
			`{apiVersion: v1, kind: Secret, metadata: {name: s, annotations: {copy: hunter2}}}`,
			`{apiVersion: v1, kind: Secret, metadata: {name: s, annotations: {copy: other}}}`,
			[]string{".metadata.annotations.copy: (hidden) -> (hidden, changed)"}},
		{"one side claims another kind", secret(`data: {p: hunter2}`), config(`p: other`), []string{".data.p: (hidden) -> (hidden, changed)", `.metadata.annotations["prumo.dev/id"]: Secret/lab/s -> ConfigMap/lab/c`, ".type: Opaque -> none"}},
		{"a Secret inside another object",
			`{apiVersion: x/v1, kind: Bundle, metadata: {name: b}, spec: {items: [{apiVersion: v1, kind: Secret, data: {p: hunter2}}]}}`,
			`{apiVersion: x/v1, kind: Bundle, metadata: {name: b}, spec: {items: [{apiVersion: v1, kind: Secret, data: {p: other}}]}}`,
			[]string{".spec.items[0].data.p: (hidden) -> (hidden, changed)"}},
		{"a variable that is called like one",
			container(`{name: DB_PASSWORD, value: hunter2}, {name: MODE, value: a}`), container(`{name: DB_PASSWORD, value: x}, {name: MODE, value: b}`),
			[]string{envPath + "[name=DB_PASSWORD].value: (hidden) -> (hidden, changed)", envPath + "[name=MODE].value: a -> b"}},
		{"the same where names are double",
			container(`{name: TOKEN, value: hunter2}, {name: TOKEN, value: hunter2}`), container(`{name: TOKEN, value: x}, {name: TOKEN, value: hunter2}`),
			[]string{envPath + "[0].value: (hidden) -> (hidden, changed)"}},
		{"a reference shows", container(`{name: API_KEY, valueFrom: {secretKeyRef: {name: s, key: a}}}`), container(`{name: API_KEY, valueFrom: {secretKeyRef: {name: s, key: b}}}`),
			[]string{envPath + "[name=API_KEY].valueFrom.secretKeyRef.key: a -> b"}},
		{"a variable turned into another type", container(`{name: API_KEY, value: hunter2}`), container(`{name: API_KEY, value: {a: hunter2}}`),
			[]string{envPath + "[name=API_KEY].value: (hidden) -> (hidden, changed)"}},
		{"a file of a ConfigMap by name", config(`app-secret.yaml: hunter2, mode: a`), config(`app-secret.yaml: x, mode: b`),
			[]string{`.data["app-secret.yaml"]: (hidden) -> (hidden, changed)`, ".data.mode: a -> b"}},
		{"a private key anywhere", config(`f: a`), config(`f: "-----BEGIN RSA PRIVATE KEY-----\nhunter2"`), []string{".data.f: (hidden) -> (hidden, changed)"}},
		{"a login in an address", config(`f: "postgres://me:hunter2@db/x"`), config(`f: "postgres://me:hunter2@db/y"`),
			[]string{".data.f: postgres://me:(hidden)@db/x -> postgres://me:(hidden)@db/y"}},
		{"a custom resource with an inline token",
			`{apiVersion: x/v1, kind: Tool, metadata: {name: t}, spec: {auth: {token: hunter2, tokenTTL: 1h}}}`,
			`{apiVersion: x/v1, kind: Tool, metadata: {name: t}, spec: {auth: {token: x, tokenTTL: 2h}}}`,
			[]string{".spec.auth.token: (hidden) -> (hidden, changed)", ".spec.auth.tokenTTL: 1h -> 2h"}},
		{"a taint's key and a flag show",
			`{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {automountServiceAccountToken: true, tolerations: [{key: a}]}}`,
			`{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {automountServiceAccountToken: false, tolerations: [{key: b}]}}`,
			[]string{".spec.automountServiceAccountToken: " + text(true) + " -> " + text(false), ".spec.tolerations[0].key: a -> b"}},
		{"a whole object is counted, not printed",
			`{apiVersion: x/v1, kind: T, metadata: {name: t}, spec: {a: {p: hunter2, q: 1}}}`, `{apiVersion: x/v1, kind: T, metadata: {name: t}, spec: {a: [hunter2]}}`,
			[]string{".spec.a: (2 fields) -> (1 item)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := fixture{want: tt.want, live: tt.live, predicted: tt.want, ours: true}.plan(t, Options{})
			var got []string
			for _, c := range p.Changes {
				got = append(got, fieldLines(c)...)
			}
			if d := cmp.Diff(tt.fields, got); d != "" {
				t.Errorf("fields (-want +got):\n%s", d)
			}
			noLeak(t, p)
		})
	}
}

// noLeak fails if a plan would print the secret.
func noLeak(t *testing.T, p core.Plan) {
	t.Helper()
	out, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), leak) || strings.Contains(string(out), "aHVudGVyMg") {
		t.Errorf("the secret is in the plan: %s", out)
	}
}

func TestMaskKeepsWhatApplySends(t *testing.T) {
	want := `{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: lab}, stringData: {p: hunter2}}`
	c := one(t, fixture{want: want, live: replace(want, leak, "old"), predicted: want, ours: true}.plan(t, Options{}))
	if got := dig(c.Manifest, "stringData")["p"]; got != leak {
		t.Errorf("the manifest was masked: %v", got)
	}
}

func TestHashDoesNotGiveAwayHiddenLiveValues(t *testing.T) {
	want := `{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: lab}, stringData: {p: new}}`
	hash := func(live string) string {
		return fixture{want: want, live: replace(want, "new", live), predicted: want, ours: true}.plan(t, Options{}).Hash
	}
	if hash("hunter2") != hash("hunter3") {
		t.Error("a live secret can be guessed from the plan's hash")
	}
	foreign := func(live string) string {
		predicted := replace(quota, "spec: {hard: {", `spec: {scopes: ["b`+live+`"], hard: {`)
		return fixture{want: quota, live: replace(quotaLive, "spec: {hard: {", `spec: {scopes: [`+live+`], hard: {`), predicted: predicted}.plan(t, Options{}).Hash
	}
	if foreign("x") != foreign("y") {
		t.Error("a value of an object that is not ours can be guessed from the plan's hash")
	}
}

func TestDisplayBounds(t *testing.T) {
	long := strings.Repeat("a", 10_000)
	from, to := display(long+"x", long+"y").(string), display(long+"y", long+"x").(string)
	if len(from) > maxValue+100 || from == to || !strings.HasSuffix(from, "x") {
		t.Errorf("the part that differs is not shown: %q and %q", from, to)
	}
	if got, want := display("a\x1b[31mb\x00\u202ec\xff", ""), `a\x1b[31mb\x00\u202ec\xff`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzMask(f *testing.F) {
	f.Add("p", "value")
	f.Add("a\x1b]0;x\x07", "b\xff\u202e")
	f.Add("kind", "Secret")
	f.Add("DB_TOKEN", strings.Repeat("é", 2000))
	f.Fuzz(func(t *testing.T, key, value string) {
		secret := func(v string) map[string]any {
			return map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "s", "namespace": "lab"},
				"data": map[string]any{key: v}, "stringData": map[string]any{"q": map[string]any{key: v}}}
		}
		for _, l := range compare(secret(value), secret(value+leak), whole) {
			from, to := mask(l, false)
			if fmt.Sprint(from, to) != hiddenFrom+" "+hiddenTo && fmt.Sprint(from, to) != hiddenFrom+hiddenTo {
				t.Errorf("%s: not hidden: %v, %v", renderPath(l.path), from, to)
			}
		}
		open := map[string]any{"kind": "ConfigMap", "data": map[string]any{key: value}}
		for _, l := range compare(nil, open, declared) {
			_, to := mask(l, false)
			printable(t, renderPath(l.path))
			printable(t, fmt.Sprint(to))
			if len(fmt.Sprint(to)) > maxValue+100 {
				t.Errorf("%d bytes are shown", len(fmt.Sprint(to)))
			}
		}
	})
}

func printable(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Errorf("not UTF-8: %q", s)
	}
	for _, r := range s {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			t.Errorf("control character %U in %q", r, s)
		}
	}
}
