package objpath_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/objpath"
)

func TestParseReadsWhatStringWrites(t *testing.T) {
	for _, s := range []string{
		`.spec.replicas`, `.data["x.json"]`, `["a b"].c`, `.data["quote \" and \\"]`,
		`.spec.containers[name=web].image`, `.spec.ports[port=80,protocol=TCP].nodePort`,
		`.metadata.finalizers[="a,b]"]`, `.metadata.finalizers[=example.org/hold]`, `.spec.tolerations[12].key`,
	} {
		p, err := objpath.Parse(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
		} else if p.String() != s {
			t.Errorf("%s is written %s", s, p)
		}
	}
}

func TestRulesRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    `has no path; want one such as .spec.replicas, or leave it out`,
		" ; \n":                               `has no path; want one such as .spec.replicas, or leave it out`,
		"spec.replicas":                       `"spec.replicas": want a path such as .spec.replicas, or a kind and a path: Deployment .spec.replicas`,
		"deployment .spec":                    `"deployment .spec": want a path such as .spec.replicas, or a kind and a path: Deployment .spec.replicas`,
		".spec..x":                            `".spec..x": no name after the dot at "..x"; quote others than letters, digits, - and _: ["x.json"]`,
		".spec/x":                             `".spec/x": "/x" is no step of a path; want .name, ["a name"], [key=value] or [0]`,
		`.data["x`:                            `".data[\"x": "\"x": the quotes do not close`,
		`.data["x"`:                           `".data[\"x\"": "": the bracket does not close`,
		`.data[""]`:                           `".data[\"\"]": a name is empty`,
		".spec.containers[web].image":         `".spec.containers[web].image": "[web].image" names no item; want [key=value], as in containers[name=web], or [0]`,
		".spec.containers[name=]":             `".spec.containers[name=]": "]": no value before the bracket closes; want [key=value]`,
		".spec.x[*]":                          `".spec.x[*]": "[*]" names no item; want [key=value], as in containers[name=web], or [0]`,
		"[0].spec":                            `"[0].spec": begins with an item of a list; want a field, such as .spec`,
		".status.replicas":                    `.status.replicas: is no field that a spec can share`,
		".metadata":                           `.metadata: holds the name and Prumo's marks; name one label, annotation or finalizer`,
		".metadata.name":                      `.metadata.name: is no field that a spec can share`,
		".metadata.labels":                    `.metadata.labels: holds Prumo's marks too; name one, as in .metadata.labels["example.org/x"]`,
		`.metadata.labels["prumo.dev/owner"]`: `.metadata.labels["prumo.dev/owner"]: is Prumo's own mark`,
	} {
		if rules, err := objpath.ParseRules(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, %v\nwant %s", text, rules, err, want)
		}
	}
}

func TestRules(t *testing.T) {
	rules, err := objpath.ParseRules("Deployment.apps .spec.replicas; .data[\"a;b\"]\nConfigMap  .data.x ;")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rules {
		got = append(got, r.Kind+" "+r.Path.String())
	}
	want := []string{"Deployment.apps .spec.replicas", ` .data["a;b"]`, "ConfigMap .data.x"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if !rules[0].Applies("apps", "Deployment") || rules[0].Applies("other", "Deployment") || !rules[1].Applies("apps", "Deployment") ||
		!rules[2].Applies("", "ConfigMap") || rules[2].Applies("", "Secret") {
		t.Error("a rule applies to the wrong kind")
	}
}

// TestEdit shows an object before, and after what is at a path was set and removed.
func TestEdit(t *testing.T) {
	const object = `{"spec":{"replicas":2,"list":[{"name":"a","v":1},{"name":"b"}],"set":["x","y"],"ports":[{"port":80}],"only":{"deep":{"x":1}}}}`
	for _, tt := range []struct{ path, get, set, removed string }{
		{".spec.replicas", `2`, `{"spec":{"replicas":"new","list":[{"name":"a","v":1},{"name":"b"}],"set":["x","y"],"ports":[{"port":80}],"only":{"deep":{"x":1}}}}`,
			`{"spec":{"list":[{"name":"a","v":1},{"name":"b"}],"set":["x","y"],"ports":[{"port":80}],"only":{"deep":{"x":1}}}}`},
		{".spec.list[name=a].v", `1`, `{"spec":{"replicas":2,"list":[{"name":"a","v":"new"},{"name":"b"}],"set":["x","y"],"ports":[{"port":80}],"only":{"deep":{"x":1}}}}`,
			`{"spec":{"replicas":2,"list":[{"name":"a"},{"name":"b"}],"set":["x","y"],"ports":[{"port":80}],"only":{"deep":{"x":1}}}}`},
		{".spec.list[1]", `{"name":"b"}`, `{"spec":{"replicas":2,"list":[{"name":"a","v":1},"new"],"set":["x","y"],"ports":[{"port":80}],"only":{"deep":{"x":1}}}}`,
			`{"spec":{"replicas":2,"list":[{"name":"a","v":1}],"set":["x","y"],"ports":[{"port":80}],"only":{"deep":{"x":1}}}}`},
		{".spec.set[=y]", `"y"`, `{"spec":{"replicas":2,"list":[{"name":"a","v":1},{"name":"b"}],"set":["x","new"],"ports":[{"port":80}],"only":{"deep":{"x":1}}}}`,
			`{"spec":{"replicas":2,"list":[{"name":"a","v":1},{"name":"b"}],"set":["x"],"ports":[{"port":80}],"only":{"deep":{"x":1}}}}`},
		{".spec.ports[port=80,protocol=TCP]", `{"port":80}`, `{"spec":{"replicas":2,"list":[{"name":"a","v":1},{"name":"b"}],"set":["x","y"],"ports":["new"],"only":{"deep":{"x":1}}}}`,
			`{"spec":{"replicas":2,"list":[{"name":"a","v":1},{"name":"b"}],"set":["x","y"],"ports":[],"only":{"deep":{"x":1}}}}`},
		{".spec.only.deep.x", `1`, `{"spec":{"replicas":2,"list":[{"name":"a","v":1},{"name":"b"}],"set":["x","y"],"ports":[{"port":80}],"only":{"deep":{"x":"new"}}}}`,
			`{"spec":{"replicas":2,"list":[{"name":"a","v":1},{"name":"b"}],"set":["x","y"],"ports":[{"port":80}],"only":{"deep":{}}}}`},
		{".spec.list[name=c]", `null`, `{"spec":{"replicas":2,"list":[{"name":"a","v":1},{"name":"b"},"new"],"set":["x","y"],"ports":[{"port":80}],"only":{"deep":{"x":1}}}}`, object},
		{".spec.list[name=c].v", `null`, object, object},
		{".spec.replicas.x", `null`, object, object},
		{".spec.none[name=c].v", `null`, object, object},
		{".other.deep", `null`, `{"other":{"deep":"new"},"spec":{"replicas":2,"list":[{"name":"a","v":1},{"name":"b"}],"set":["x","y"],"ports":[{"port":80}],"only":{"deep":{"x":1}}}}`, object},
	} {
		t.Run(tt.path, func(t *testing.T) {
			p, err := objpath.Parse(tt.path)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := p.Get(decode(t, object))
			set, removed := decode(t, object), decode(t, object)
			p.Set(set, "new")
			p.Remove(removed)
			want := []any{decodeAny(t, tt.get), decode(t, tt.set), decode(t, tt.removed)}
			if diff := cmp.Diff(want, []any{got, set, removed}); diff != "" {
				t.Errorf("got, set, removed (-want +got)\n%s", diff)
			}
		})
	}
}

func decode(t *testing.T, s string) map[string]any {
	t.Helper()
	m, _ := decodeAny(t, s).(map[string]any)
	return m
}

func decodeAny(t *testing.T, s string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func FuzzRules(f *testing.F) {
	f.Add(`Deployment .spec.replicas; .data["x.json"]`)
	f.Add(`.spec.ports[port=80,protocol="T\"CP"].x[=y][0]`)
	f.Add(".x[=" + strings.Repeat("\xf5", 1000) + "]") // four times as long when it is written
	f.Fuzz(func(t *testing.T, s string) {
		rules, err := objpath.ParseRules(s)
		if err != nil {
			return
		}
		for _, r := range rules {
			again, err := objpath.Parse(r.Path.String())
			if err != nil || again.String() != r.Path.String() {
				t.Errorf("%q is written %q, which is read as %v, %v", s, r.Path, again, err)
			}
			object := map[string]any{}
			r.Path.Set(object, 1)
			r.Path.Get(object)
			r.Path.Remove(object)
		}
	})
}
