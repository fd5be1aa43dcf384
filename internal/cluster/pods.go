package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"prumo.dev/prumo/internal/core"
)

// maxPods bounds how many pods are looked at for one change.
const maxPods = 20_000

// Pods lists the pods that a change may stop, by one list. That we may not list
// them is an error for which Refusal gives the reason.
func (c *Cluster) Pods(ctx context.Context, q core.PodQuery) ([]core.Pod, error) {
	options, err := podList(q)
	if err != nil {
		return nil, err
	}
	on, err := c.nodesWith(ctx, q.Nodes)
	if err != nil {
		return nil, err
	}
	resource := c.objects.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(q.Namespace)
	var pods []core.Pod
	for looked := 0; ; {
		page, err := func() ([]map[string]any, error) {
			ctx, cancel := context.WithTimeout(ctx, requestTimeout)
			defer cancel()
			l, err := resource.List(ctx, options)
			if err != nil {
				return nil, err
			}
			options.Continue = l.GetContinue()
			items := make([]map[string]any, len(l.Items))
			for i := range l.Items {
				items[i] = l.Items[i].Object
			}
			return items, nil
		}()
		if err != nil {
			return nil, err
		}
		for _, item := range page {
			var pod corev1.Pod
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(item, &pod); err != nil {
				return nil, fmt.Errorf("read a pod: %w", err)
			}
			if n := gpus(pod.Spec); concerns(q, pod, n) && (on == nil || on[pod.Spec.NodeName]) {
				pods = append(pods, core.Pod{Namespace: pod.Namespace, Name: pod.Name, GPUs: n})
			}
		}
		if looked += len(page); looked > maxPods {
			return nil, refusal(fmt.Sprintf("there are more than %d pods", maxPods))
		}
		if options.Continue == "" {
			return pods, nil
		}
	}
}

// nodesWith returns the nodes that have all labels of one of some maps; nil, which is
// any node, if there is no map.
func (c *Cluster) nodesWith(ctx context.Context, maps []any) (map[string]bool, error) {
	if len(maps) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	names := map[string]bool{}
	for _, m := range maps {
		options, err := podList(core.PodQuery{Selector: map[string]any{"matchLabels": m}})
		if err != nil {
			return nil, err
		}
		list, err := c.metadata.Resource(schema.GroupVersionResource{Version: "v1", Resource: "nodes"}).List(ctx, metav1.ListOptions{LabelSelector: options.LabelSelector})
		if err != nil {
			return nil, err
		}
		for _, n := range list.Items {
			names[n.Name] = true
		}
	}
	return names, nil
}

// podList asks the server to leave out what it can: pods that have ended, run
// elsewhere, or are not selected.
func podList(q core.PodQuery) (metav1.ListOptions, error) {
	options := metav1.ListOptions{Limit: pageSize, FieldSelector: "status.phase!=Succeeded,status.phase!=Failed"}
	if q.Node != "" {
		options.FieldSelector += ",spec.nodeName=" + q.Node
	}
	if q.Selector == nil {
		return options, nil
	}
	raw, err := json.Marshal(q.Selector)
	if err != nil {
		return options, fmt.Errorf("encode a selector: %w", err)
	}
	var labels metav1.LabelSelector
	if err := json.Unmarshal(raw, &labels); err != nil {
		return options, refusal("its selector cannot be read")
	}
	selector, err := metav1.LabelSelectorAsSelector(&labels)
	if err != nil {
		return options, refusal("its selector cannot be read")
	}
	options.LabelSelector = selector.String()
	return options, nil
}

// concerns reports whether a pod is one that was asked for, of those listed.
func concerns(q core.PodQuery, pod corev1.Pod, gpus int64) bool {
	runs := func(r metav1.OwnerReference) bool { return isRunBy(r, pod, q.Owner) }
	mounts := func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == q.Claim
	}
	switch {
	case q.Owner != core.ObjectID{} && !slices.ContainsFunc(pod.OwnerReferences, runs),
		q.Claim != "" && !slices.ContainsFunc(pod.Spec.Volumes, mounts):
		return false
	case q.Taint != nil:
		return !tolerates(pod.Spec, q.Taint)
	}
	return !q.GPUs || gpus > 0
}

// isRunBy reports whether a reference of a pod is to a workload, or to the
// ReplicaSet that a Deployment makes.
func isRunBy(r metav1.OwnerReference, pod corev1.Pod, workload core.ObjectID) bool {
	group, _, _ := strings.Cut(r.APIVersion, "/")
	if workload.Kind == "Deployment" && r.Kind == "ReplicaSet" {
		return r.Name == workload.Name+"-"+pod.Labels["pod-template-hash"]
	}
	return r.Kind == workload.Kind && r.Name == workload.Name && group == workload.Group
}

// tolerates reports whether a taint lets a pod stay for good.
func tolerates(pod corev1.PodSpec, taint any) bool {
	k, v := keyOf(taint), value(taint)
	return slices.ContainsFunc(pod.Tolerations, func(t corev1.Toleration) bool {
		return t.TolerationSeconds == nil && (t.Effect == "" || string(t.Effect) == k.effect) &&
			(t.Key == k.key && (t.Operator == corev1.TolerationOpExists || t.Value == v) ||
				t.Key == "" && t.Operator == corev1.TolerationOpExists)
	})
}

// gpuResources are what device plugins call GPUs, and shares and slices of them.
var gpuResources = []string{"nvidia.com/gpu", "nvidia.com/mig-", "amd.com/gpu", "gpu.intel.com/", "habana.ai/gaudi"}

// gpus is how many GPUs, shares and slices a pod holds.
func gpus(pod corev1.PodSpec) int64 {
	count := func(containers []corev1.Container) (n int64) {
		for _, c := range containers {
			for name, quantity := range c.Resources.Limits { // of an extended resource the same as requests
				if slices.ContainsFunc(gpuResources, func(prefix string) bool { return strings.HasPrefix(string(name), prefix) }) {
					n += quantity.Value()
				}
			}
		}
		return n
	}
	return max(count(pod.Containers), count(pod.InitContainers))
}
