package daemon_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"prumo.dev/prumo/deploy"
)

// install applies the manifests as `reconciler install | kubectl apply -f -`
// would.
func install(t *testing.T, cfg *rest.Config) {
	t.Helper()
	text, err := deploy.Render(deploy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	kubectl(t, cfg, text)
}

// kubectl applies what a file says, as an administrator would.
func kubectl(t *testing.T, cfg *rest.Config, text []byte) {
	t.Helper()
	c, err := client.New(cfg, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	docs := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		u := new(unstructured.Unstructured)
		if err := docs.Decode(&u.Object); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		if len(u.Object) == 0 {
			continue
		}
		err := c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("install"))
		if err != nil {
			t.Fatalf("apply %s %s: %v", u.GetKind(), u.GetName(), err)
		}
	}
}
