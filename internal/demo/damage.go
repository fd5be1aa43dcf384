package demo

import (
	"bytes"
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"prumo.dev/prumo/test/cluster"
)

// damages are what happens to a cluster between two commits, done as the tools
// of those people do it, under the same names of field managers.
var damages = []struct {
	what string
	do   func(context.Context, *cluster.Cluster) error
}{
	{"dana gives her group four more GPUs:    kubectl edit resourcequota -n nlp-serving", editQuota},
	{"dana keeps a GPU node for her tests:    kubectl taint node gpu-l40s-01 nvidia.com/gpu- dana/tests=:PreferNoSchedule", swapTaint},
	{"dana cleans up what she does not know:  kubectl delete service -n mlflow mlflow", deleteService},
	{"a GPU of gpu-h100-02 falls off the bus", func(ctx context.Context, c *cluster.Cluster) error {
		return c.LoseGPU(ctx, "gpu-h100-02", 1)
	}},
}

// dana is an administrator with good intentions.
func dana(ctx context.Context, c *cluster.Cluster) (kubernetes.Interface, error) {
	file, err := c.UserKubeconfig(ctx, "dana", "system:masters")
	if err != nil {
		return nil, err
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(cfg)
}

func editQuota(ctx context.Context, c *cluster.Cluster) error {
	client, err := dana(ctx, c)
	if err != nil {
		return err
	}
	quotas := client.CoreV1().ResourceQuotas("nlp-serving")
	list, err := quotas.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, quota := range list.Items {
		if _, ok := quota.Spec.Hard["requests.nvidia.com/gpu"]; !ok {
			continue
		}
		quota.Spec.Hard["requests.nvidia.com/gpu"] = resource.MustParse("8")
		if _, err := quotas.Update(ctx, &quota, metav1.UpdateOptions{FieldManager: "kubectl-edit"}); err != nil {
			return err
		}
	}
	return nil
}

func swapTaint(ctx context.Context, c *cluster.Cluster) error {
	client, err := dana(ctx, c)
	if err != nil {
		return err
	}
	node, err := client.CoreV1().Nodes().Get(ctx, "gpu-l40s-01", metav1.GetOptions{})
	if err != nil {
		return err
	}
	left := []corev1.Taint{{Key: "dana/tests", Effect: corev1.TaintEffectPreferNoSchedule}}
	for _, taint := range node.Spec.Taints {
		if taint.Key != string(cluster.GPU) {
			left = append(left, taint)
		}
	}
	node.Spec.Taints = left
	_, err = client.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{FieldManager: "kubectl-taint"})
	return err
}

func deleteService(ctx context.Context, c *cluster.Cluster) error {
	client, err := dana(ctx, c)
	if err != nil {
		return err
	}
	return client.CoreV1().Services("mlflow").Delete(ctx, "mlflow", metav1.DeleteOptions{})
}

// lessVision is pools/inference.yaml with two GPUs for the vision team instead
// of four.
func lessVision(pool []byte) []byte {
	before, after, _ := bytes.Cut(pool, []byte("namespace: vision-serving"))
	return bytes.Join([][]byte{before, bytes.Replace(after, []byte("gpus: 4"), []byte("gpus: 2"), 1)},
		[]byte("namespace: vision-serving"))
}
