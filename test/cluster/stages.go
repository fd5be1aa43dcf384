package cluster

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// stageFiles say what kwok does in the place of kubelets and of a storage
// provisioner.
//
//go:embed stages/*.yaml
var stageFiles embed.FS

// writeStages writes kwok's configuration: all stages, one document each.
func writeStages(dir string) error {
	names, err := fs.Glob(stageFiles, "stages/*.yaml")
	if err != nil {
		return err
	}
	var all bytes.Buffer
	for _, name := range names {
		data, err := stageFiles.ReadFile(name)
		if err != nil {
			return err
		}
		all.WriteString("---\n")
		all.Write(data)
	}
	return os.WriteFile(filepath.Join(dir, "stages.yaml"), all.Bytes(), 0o600)
}

// createStorageClass makes the default StorageClass, whose claims get volumes
// that hold nothing.
func (c *Cluster) createStorageClass(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		return err
	}
	class := &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{
			Name:        "standard",
			Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		Provisioner: "prumo.dev/simulated",
	}
	_, err = client.StorageV1().StorageClasses().Create(ctx, class, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create StorageClass %s: %w", class.Name, err)
	}
	return nil
}
