package deploy_test

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"prumo.dev/prumo/deploy"
	"prumo.dev/prumo/internal/sandbox"
)

// podSpec returns the daemon's pod.
func podSpec(t *testing.T) corev1.PodSpec {
	t.Helper()
	var d appsv1.Deployment
	object := find(t, render(t, deploy.Options{}), "Deployment").Object
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object, &d, true); err != nil {
		t.Fatal(err)
	}
	return d.Spec.Template.Spec
}

// The container that reads what nobody signed is given nothing but the folder of its
// socket, and the token goes to the other one alone.
func TestEvaluatorIsGivenNothing(t *testing.T) {
	pod := podSpec(t)
	evaluator, reconciler := pod.InitContainers[0], pod.Containers[0]
	const folder, token = "evaluator", "/var/run/secrets/kubernetes.io/serviceaccount"
	if len(evaluator.VolumeMounts) != 1 || evaluator.VolumeMounts[0].Name != folder {
		t.Errorf("mounts %v, want that of its socket alone", evaluator.VolumeMounts)
	}
	if len(evaluator.Env)+len(evaluator.EnvFrom)+len(evaluator.Ports) > 0 {
		t.Errorf("environment %v, %v, ports %v; want none", evaluator.Env, evaluator.EnvFrom, evaluator.Ports)
	}
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Error("the kubelet mounts the token everywhere")
	}
	if !slices.ContainsFunc(reconciler.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == token }) {
		t.Errorf("the reconciler has no token: %v", reconciler.VolumeMounts)
	}
	if pod.ShareProcessNamespace != nil || pod.HostPID || pod.HostIPC || pod.HostNetwork {
		t.Error("the containers see each other's processes, or those of the node")
	}
	s := evaluator.SecurityContext
	if s.RunAsUser == nil || *s.RunAsUser == *pod.SecurityContext.RunAsUser || !*s.ReadOnlyRootFilesystem ||
		*s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		t.Errorf("security context %+v", s)
	}
}

// The daemon asks where the evaluator listens, whose memory is enough for as many
// children as it starts, and which ends after the daemon.
func TestEvaluatorServesTheDaemon(t *testing.T) {
	evaluator := podSpec(t).InitContainers[0]
	socket := loadConfig(t, configFile(t, render(t, deploy.Options{}), "config.yaml")).Evaluator.Socket
	if want := []string{"evaluator", "--listen", socket}; !slices.Equal(evaluator.Args, want) {
		t.Errorf("arguments %q, want %q", evaluator.Args, want)
	}
	const program = 64 << 20 // what a child takes before it evaluates
	const spare = 64 << 20   // what one last allocation may take on top of the limit
	if limit := evaluator.Resources.Limits.Memory().Value(); limit < sandbox.MaxServed*(sandbox.DefaultMemory+program+spare) || limit > 2<<30 {
		t.Errorf("a limit of %d MiB for %d children of %d", limit>>20, sandbox.MaxServed, (sandbox.DefaultMemory+program+spare)>>20)
	}
	if evaluator.RestartPolicy == nil || *evaluator.RestartPolicy != corev1.ContainerRestartPolicyAlways {
		t.Errorf("restart policy %v, want Always", evaluator.RestartPolicy)
	}
}
