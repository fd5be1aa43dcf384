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
	"prumo.dev/prumo/internal/objpath"
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
	noted := func(note string) string {
		return `{apiVersion: v1, kind: ServiceAccount, metadata: {name: s, namespace: lab, annotations: {note: "` + note + `"}}}`
	}
	runs := func(fields string) string {
		return `{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: lab}, spec: {containers: [{name: c, ` + fields + `}]}}`
	}
	const podPath = ".spec.containers[name=c]"
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
			[]string{envPath + "[name=DB_PASSWORD].value: (hidden) -> (hidden, changed)", envPath + "[name=MODE].value: (hidden) -> (hidden, changed)"}},
		{"the same where names are double",
			container(`{name: TOKEN, value: hunter2}, {name: TOKEN, value: hunter2}`), container(`{name: TOKEN, value: x}, {name: TOKEN, value: hunter2}`),
			[]string{envPath + "[0].value: (hidden) -> (hidden, changed)"}},
		{"a reference shows", container(`{name: API_KEY, valueFrom: {secretKeyRef: {name: s, key: a}}}`), container(`{name: API_KEY, valueFrom: {secretKeyRef: {name: s, key: b}}}`),
			[]string{envPath + "[name=API_KEY].valueFrom.secretKeyRef.key: a -> b"}},
		{"a variable turned into another type", container(`{name: API_KEY, value: hunter2}`), container(`{name: API_KEY, value: {a: hunter2}}`),
			[]string{envPath + "[name=API_KEY].value: (hidden) -> (hidden, changed)"}},
		{"a file of a ConfigMap by name", config(`app-secret.yaml: hunter2, mode: a`), config(`app-secret.yaml: x, mode: b`),
			[]string{`.data["app-secret.yaml"]: (hidden) -> (hidden, changed)`, ".data.mode: (hidden) -> (hidden, changed)"}},
		{"a private key anywhere", config(`f: a`), config(`f: "-----BEGIN RSA PRIVATE KEY-----\nhunter2"`), []string{".data.f: (hidden) -> (hidden, changed)"}},
		{"a login in an address", noted(`postgres://me:hunter2@db/x`), noted(`postgres://me:hunter2@db/y`),
			[]string{".metadata.annotations.note: postgres://me:(hidden)@db/x -> postgres://me:(hidden)@db/y"}},
		{"arguments and commands", runs(`args: [--api-key=hunter2, --level, info], command: [sh, -c, "TOKEN=hunter2 run"]`),
			runs(`args: [--api-key=hunter3, --level, debug], command: [sh, -c, "TOKEN=hunter3 run"]`), []string{
				podPath + ".args[0]: (hidden) -> (hidden, changed)", podPath + ".args[2]: (hidden) -> (hidden, changed)",
				podPath + ".command[2]: (hidden) -> (hidden, changed)"}},
		{"a command of a probe, a header", runs(`livenessProbe: {exec: {command: [hunter2]}}, readinessProbe: {httpGet: {port: 80, httpHeaders: [{name: A, value: hunter2}]}}`),
			runs(`livenessProbe: {exec: {command: [x]}}, readinessProbe: {httpGet: {port: 81, httpHeaders: [{name: A, value: x}]}}`), []string{
				podPath + ".livenessProbe.exec.command[0]: (hidden) -> (hidden, changed)",
				podPath + ".readinessProbe.httpGet.httpHeaders[name=A].value: (hidden) -> (hidden, changed)",
				podPath + ".readinessProbe.httpGet.port: " + text(int64(80)) + " -> " + text(int64(81))}},
		{"the whole of a container's other fields shows", runs(`image: "a@sha256:1111111111111111111111111111111111111111111111111111111111111111", workingDir: /a`),
			runs(`image: "a@sha256:2222222222222222222222222222222222222222222222222222222222222222", workingDir: /b`), []string{
				podPath + ".image: a@sha256:1111111111111111111111111111111111111111111111111111111111111111 -> a@sha256:2222222222222222222222222222222222222222222222222222222222222222",
				podPath + ".workingDir: /a -> /b"}},
		{"variables with other names", container(`{name: DB_PWD, value: hunter2}, {name: HOOK, value: "https://hooks.slack.com/services/hunter2"}`),
			container(`{name: DB_PWD, value: x}, {name: HOOK, value: y}`), []string{
				envPath + "[name=DB_PWD].value: (hidden) -> (hidden, changed)", envPath + "[name=HOOK].value: (hidden) -> (hidden, changed)"}},
		{"files of a ConfigMap", config(`config.yaml: "password: hunter2", c.py: "auth_token = 'hunter2'", dsn.txt: "Server=db;Password=hunter2"`),
			config(`config.yaml: "password: x", c.py: "auth_token = 'x'", dsn.txt: "Server=db;Password=x"`), []string{
				`.data["c.py"]: (hidden) -> (hidden, changed)`, `.data["config.yaml"]: (hidden) -> (hidden, changed)`, `.data["dsn.txt"]: (hidden) -> (hidden, changed)`}},
		{"a secret in an annotation, by itself", noted("--password=hunter2"), noted("--password=x"), []string{".metadata.annotations.note: (hidden) -> (hidden, changed)"}},
		{"a token in an annotation, by its form", noted("ghp_abcdefghijklmnopqrstuvwxyz0123456789"), noted("x"), []string{".metadata.annotations.note: (hidden) -> (hidden, changed)"}},
		{"a token in an annotation, by its entropy", noted("q7Zr2LxV9bKp4TnW8cYd"), noted("x"), []string{".metadata.annotations.note: (hidden) -> (hidden, changed)"}},
		{"text in an annotation shows", noted("see https://wiki.lab.example/GPU-Pools-2026"), noted("retired"), []string{".metadata.annotations.note: see https://wiki.lab.example/GPU-Pools-2026 -> retired"}},
		{"a custom resource",
			`{apiVersion: x.example/v1, kind: Tool, metadata: {name: t}, spec: {secretKey: hunter2, psk: 1234, userData: hunter2, connectionString: hunter2, other: hunter2, size: 1, active: true}}`,
			`{apiVersion: x.example/v1, kind: Tool, metadata: {name: t}, spec: {secretKey: x, psk: 1, userData: x, connectionString: x, other: x, size: 2, active: false}}`, []string{
				".spec.active: " + text(true) + " -> " + text(false), ".spec.connectionString: (hidden) -> (hidden, changed)",
				".spec.other: (hidden) -> (hidden, changed)", ".spec.psk: (hidden) -> (hidden, changed)", ".spec.secretKey: (hidden) -> (hidden, changed)",
				".spec.size: " + text(int64(1)) + " -> " + text(int64(2)), ".spec.userData: (hidden) -> (hidden, changed)"}},
		{"text where a quantity belongs, or a container",
			`{apiVersion: x.example/v1, kind: Tool, metadata: {name: t}, spec: {default: {login: hunter2, cpu: "1"}, containers: {config: hunter2}}}`,
			`{apiVersion: x.example/v1, kind: Tool, metadata: {name: t}, spec: {default: {login: x, cpu: "2"}, containers: {config: x}}}`, []string{
				".spec.containers.config: (hidden) -> (hidden, changed)", ".spec.default.cpu: 1 -> 2", ".spec.default.login: (hidden) -> (hidden, changed)"}},
		{"what a storage driver reads", `{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: s}, parameters: {restuserkey: hunter2}, provisioner: a}`,
			`{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: s}, parameters: {restuserkey: x}, provisioner: b}`, []string{
				".parameters.restuserkey: (hidden) -> (hidden, changed)", ".provisioner: a -> b"}},
		{"a key in an address", noted("https://x.example/a?key=hunter2"), noted("https://x.example/a?key=x"), []string{".metadata.annotations.note: (hidden) -> (hidden, changed)"}},
		{"a login that is a token", noted("https://hunter2@x.example/a"), noted("https://hunter2@x.example/b"), []string{
			".metadata.annotations.note: https://(hidden)@x.example/a -> https://(hidden)@x.example/b"}},
		{"a header in a snippet", noted("proxy_set_header Authorization 'Basic hunter2'"), noted("x"), []string{".metadata.annotations.note: (hidden) -> (hidden, changed)"}},
		{"containers of a custom resource",
			`{apiVersion: ray.io/v1, kind: RayCluster, metadata: {name: r}, spec: {head: {template: {spec: {containers: [{name: c, image: a, args: [hunter2], env: [{name: A, value: hunter2}]}]}}}}}`,
			`{apiVersion: ray.io/v1, kind: RayCluster, metadata: {name: r}, spec: {head: {template: {spec: {containers: [{name: c, image: b, args: [x], env: [{name: A, value: x}]}]}}}}}`, []string{
				".spec.head.template.spec.containers[name=c].args[0]: (hidden) -> (hidden, changed)",
				".spec.head.template.spec.containers[name=c].env[name=A].value: (hidden) -> (hidden, changed)",
				".spec.head.template.spec.containers[name=c].image: a -> b"}},
		{"a custom resource with an inline token",
			`{apiVersion: x/v1, kind: Tool, metadata: {name: t}, spec: {auth: {token: hunter2, tokenTTL: 1h}}}`,
			`{apiVersion: x/v1, kind: Tool, metadata: {name: t}, spec: {auth: {token: x, tokenTTL: 2h}}}`,
			[]string{".spec.auth.token: (hidden) -> (hidden, changed)", ".spec.auth.tokenTTL: (hidden) -> (hidden, changed)"}},
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

// What a kind declares plain shows, unless it looks like a secret. What a Secret holds
// never does.
func TestPlain(t *testing.T) {
	everything := []objpath.Path{{}}
	for _, tt := range []struct{ name, live, want, field string }{
		{"an argument", `{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, args: [info]}]}}`,
			`{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, args: [debug]}]}}`, ".spec.containers[name=c].args[0]: info -> debug"},
		{"a variable", `{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, env: [{name: MODE, value: a}]}]}}`,
			`{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, env: [{name: MODE, value: b}]}]}}`, ".spec.containers[name=c].env[name=MODE].value: a -> b"},
		{"a file", `{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {f: a}}`, `{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {f: b}}`, ".data.f: a -> b"},
		{"a custom resource", `{apiVersion: x.y/v1, kind: Tool, metadata: {name: c}, spec: {f: a}}`, `{apiVersion: x.y/v1, kind: Tool, metadata: {name: c}, spec: {f: b}}`, ".spec.f: a -> b"},
		{"a file with a password", `{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {f: "password: hunter2"}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {f: b}}`, ".data.f: (hidden) -> (hidden, changed)"},
		{"a variable called like a secret", `{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, env: [{name: DB_PWD, value: hunter2}]}]}}`,
			`{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, env: [{name: DB_PWD, value: b}]}]}}`, ".spec.containers[name=c].env[name=DB_PWD].value: (hidden) -> (hidden, changed)"},
		{"a Secret", `{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {p: hunter2}}`, `{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {p: x}}`, ".data.p: (hidden) -> (hidden, changed)"},
	} {
		o := fixture{want: tt.want, live: tt.live, predicted: tt.want, ours: true}.observed(t)
		hashes := map[string]bool{}
		for _, opts := range []Options{{}, {Reveal: true}} {
			seen := o
			if !opts.Reveal {
				seen.Object.Plain = everything
			}
			p := Make(core.Revision{}, core.Observation{Objects: []core.Observed{seen}}, opts)
			if d := cmp.Diff([]string{tt.field}, fieldLines(one(t, p))); d != "" {
				t.Errorf("%s, %+v: (-want +got):\n%s", tt.name, opts, d)
			}
			noLeak(t, p)
			hashes[p.Hash] = true
		}
		hashes[Make(core.Revision{}, core.Observation{Objects: []core.Observed{o}}, Options{}).Hash] = true
		if len(hashes) != 1 {
			t.Errorf("%s: the hash depends on who looks", tt.name)
		}
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
			from, to := sensitivity{}.mask(l, false)
			if fmt.Sprint(from, to) != hiddenFrom+" "+hiddenTo && fmt.Sprint(from, to) != hiddenFrom+hiddenTo {
				t.Errorf("%s: not hidden: %v, %v", renderPath(l.path), from, to)
			}
		}
		open := map[string]any{"kind": "ConfigMap", "data": map[string]any{key: value}}
		for _, l := range compare(nil, open, declared) {
			_, to := sensitivity{}.mask(l, false)
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
