package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing/fstest"
	"time"

	"golang.org/x/sync/errgroup"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/render"
	"prumo.dev/prumo/test/fleet"
)

// workers is how many requests the bare client has in flight, and the engine too.
const workers = 16

// resources are the paths of the kinds of fleet.Tools.
var resources = map[string]string{
	"Namespace": "/api/v1/namespaces/", "PersistentVolume": "/api/v1/persistentvolumes/",
	"PersistentVolumeClaim": "/api/v1/namespaces/%s/persistentvolumeclaims/",
	"Service":               "/api/v1/namespaces/%s/services/", "ServiceAccount": "/api/v1/namespaces/%s/serviceaccounts/",
	"StatefulSet":   "/apis/apps/v1/namespaces/%s/statefulsets/",
	"NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/%s/networkpolicies/",
}

// A put is one server-side apply, ready to be sent.
type put struct {
	namespace bool
	path      string
	body      []byte
}

// rawPuts are the objects of pairs from first on, as the engine sends them but for
// their names.
func rawPuts(ctx context.Context, first, pairs int) ([]put, error) {
	tree := fstest.MapFS{}
	for name, text := range fleet.Tools(1) {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	renderer, err := render.New(render.Options{})
	if err != nil {
		return nil, err
	}
	r, err := renderer.Render(ctx, core.Tree{FS: tree})
	if err != nil || len(r.Problems) > 0 {
		return nil, fmt.Errorf("render one pair: %w%v", err, r.Problems)
	}
	var puts []put
	for i := range pairs {
		for _, o := range r.Objects {
			p, err := rawPut(o, first+i)
			if err != nil {
				return nil, err
			}
			puts = append(puts, p)
		}
	}
	return puts, nil
}

func rawPut(o core.Object, i int) (put, error) {
	body, err := json.Marshal(marked(o))
	if err != nil {
		return put{}, err
	}
	path := resources[o.ID.Kind]
	if o.ID.Namespace != "" {
		path = fmt.Sprintf(path, o.ID.Namespace)
	}
	path += o.ID.Name + "?fieldManager=bench&fieldValidation=Strict"
	rename := func(s []byte) []byte {
		for _, prefix := range []string{"t", "d"} {
			s = bytes.ReplaceAll(s, []byte(prefix+"00000"), fmt.Appendf(nil, "r%s%05d", prefix, i))
		}
		return s
	}
	return put{o.ID.Kind == "Namespace", string(rename([]byte(path))), rename(body)}, nil
}

// marked are the fields of an object with marks as large as ours.
func marked(o core.Object) map[string]any {
	fields := make(map[string]any)
	for k, v := range o.Fields {
		fields[k] = v
	}
	meta := make(map[string]any)
	for k, v := range o.Fields["metadata"].(map[string]any) {
		meta[k] = v
	}
	fields["metadata"] = meta
	add := func(field string, marks map[string]any) {
		old, _ := meta[field].(map[string]any)
		for k, v := range old {
			marks[k] = v
		}
		meta[field] = marks
	}
	add("labels", map[string]any{core.LabelOwner: "raw"})
	add("annotations", map[string]any{core.AnnotationID: o.ID.String(), core.AnnotationSpec: o.Spec.String(), core.AnnotationOrigin: core.OriginCreated})
	return fields
}

// raw applies pairs with the bare client, namespaces first, and returns how long it
// took.
func (w *world) raw(ctx context.Context, first, pairs int) (time.Duration, error) {
	puts, err := rawPuts(ctx, first, pairs)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	for _, namespaces := range []bool{true, false} {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(workers)
		for _, p := range puts {
			if p.namespace == namespaces {
				g.Go(func() error { return w.api.put(ctx, p) })
			}
		}
		if err := g.Wait(); err != nil {
			return 0, fmt.Errorf("bare client: %w", err)
		}
	}
	return time.Since(start), nil
}

func (a *api) put(ctx context.Context, p put) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodPatch, a.url+p.path, bytes.NewReader(p.body))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/apply-patch+yaml")
	resp, err := a.client.Do(q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusCreated {
		err = fmt.Errorf("%s: %s: %s", p.path, resp.Status, answer)
	}
	return err
}
