package cluster

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"prumo.dev/prumo/internal/core"
)

// ErrChanged says that somebody else has saved the document meanwhile: load it
// and look again.
var ErrChanged = errors.New("the document was changed meanwhile")

// MaxDocument bounds a document, in bytes; a ConfigMap holds 1 MiB in all.
const MaxDocument = 768 << 10

// documentPrefix begins the names of the ConfigMaps that hold documents. Nothing
// that a repo renders may have such a name, in any namespace: a repo must not
// write what we remember about it.
const documentPrefix = "prumo-state-"

const (
	documentLabel = "prumo.dev/state" // instance whose document it is
	documentKey   = "document"        // of the ConfigMap's data
	stateManager  = core.FieldManager + "-state"
)

var (
	configMaps   = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	documentName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)
)

// Documents are what an instance remembers in the cluster: small texts, each
// with a name, in ConfigMaps of one namespace. They do not carry our mark, so
// that nothing ever takes one for an orphan. They are safe for concurrent use.
type Documents struct {
	cluster   *Cluster
	namespace string
}

// Documents returns the documents in a namespace, which must exist. Each
// instance needs a namespace of its own.
func (c *Cluster) Documents(namespace string) *Documents {
	return &Documents{cluster: c, namespace: namespace}
}

// String says where they are, for people.
func (d *Documents) String() string {
	return fmt.Sprintf("ConfigMaps %s* in namespace %s", documentPrefix, d.namespace)
}

// Load returns a document and the version that Save asks for. One that does not
// exist is empty and has an empty version.
func (d *Documents) Load(ctx context.Context, name string) (data []byte, version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	u, err := d.client().Get(ctx, documentPrefix+name, metav1.GetOptions{})
	if isAbsent(err) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("load %s: %w", d.name(name), d.cluster.Explain(err))
	}
	if owner := u.GetLabels()[documentLabel]; owner != d.cluster.instance {
		return nil, "", fmt.Errorf("load %s: it is of instance %q, not of %q: give each instance a stateNamespace of its own",
			d.name(name), owner, d.cluster.instance)
	}
	text, ok, err := unstructured.NestedString(u.Object, "data", documentKey)
	if err != nil || !ok {
		return nil, "", fmt.Errorf("load %s: it has no text in data.%s: restore it from a backup, or delete it if you know why it is broken",
			d.name(name), documentKey)
	}
	return []byte(text), u.GetResourceVersion(), nil
}

// Save replaces a document if its version is still what Load returned, and
// returns the new version. Else the error is ErrChanged. After any other error
// it may be saved or not: load it to know.
func (d *Documents) Save(ctx context.Context, name string, data []byte, version string) (string, error) {
	switch {
	case !documentName.MatchString(name):
		return "", fmt.Errorf("save %s: want a short lower-case name", d.name(name))
	case len(data) > MaxDocument:
		return "", fmt.Errorf("save %s: %d bytes, want at most %d", d.name(name), len(data), MaxDocument)
	case !utf8.Valid(data):
		return "", fmt.Errorf("save %s: not UTF-8", d.name(name))
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	u, err := d.send(ctx, d.configMap(name, data, version))
	switch {
	case err == nil:
		return u.GetResourceVersion(), nil
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), version != "" && isAbsent(err):
		return "", fmt.Errorf("save %s: %w", d.name(name), ErrChanged)
	}
	return "", fmt.Errorf("save %s: %w", d.name(name), d.cluster.Explain(err))
}

func (d *Documents) send(ctx context.Context, u *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if u.GetResourceVersion() == "" {
		return d.client().Create(ctx, u, metav1.CreateOptions{FieldManager: stateManager})
	}
	return d.client().Update(ctx, u, metav1.UpdateOptions{FieldManager: stateManager})
}

func (d *Documents) configMap(name string, data []byte, version string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{documentKey: string(data)},
	}}
	u.SetName(documentPrefix + name)
	u.SetNamespace(d.namespace)
	u.SetResourceVersion(version)
	u.SetLabels(map[string]string{
		documentLabel:                  d.cluster.instance,
		"app.kubernetes.io/name":       "prumo",
		"app.kubernetes.io/part-of":    "prumo",
		"app.kubernetes.io/component":  "state",
		"app.kubernetes.io/managed-by": "prumo",
	})
	return u
}

func (d *Documents) client() dynamic.ResourceInterface {
	return d.cluster.objects.Resource(configMaps).Namespace(d.namespace)
}

func (d *Documents) name(name string) string {
	return fmt.Sprintf("ConfigMap %s/%s%s", d.namespace, documentPrefix, name)
}

// isDocument reports whether an object has the name of a document.
func isDocument(object map[string]any) bool {
	u := &unstructured.Unstructured{Object: object}
	return u.GetKind() == "ConfigMap" && strings.HasPrefix(u.GetName(), documentPrefix)
}
