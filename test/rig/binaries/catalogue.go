// Package binaries provides the programs that the rig runs: a Kubernetes control
// plane, kwok and Flux's controllers, as the module hack/rig pins them. They are
// kept below bin/rig of the checkout, in a directory whose name changes with
// everything that they are built from, so that a second start finds them at once.
package binaries

import (
	"fmt"
	"slices"
)

// The programs that there are.
const (
	Etcd                   = "etcd"
	KubeAPIServer          = "kube-apiserver"
	KubeControllerManager  = "kube-controller-manager"
	KubeScheduler          = "kube-scheduler"
	Kubectl                = "kubectl"
	Kwok                   = "kwok"
	SourceController       = "source-controller"
	KustomizeController    = "kustomize-controller"
	HelmController         = "helm-controller"
	NotificationController = "notification-controller"
)

// binary is one program and where it comes from.
type binary struct {
	// name is the file's name and the program's name in the rig.
	name string
	// pkg is the import path of its main package.
	pkg string
	// module holds pkg, and the files that belong to the program.
	module string
	// files are patterns of files in the module's directory that the rig needs
	// at run time, such as CustomResourceDefinitions.
	files []string
}

// catalogue lists the programs, those that compile the most shared packages
// first, so that the progress lines do not promise too much.
var catalogue = []binary{
	{name: KubeAPIServer, pkg: "k8s.io/kubernetes/cmd/kube-apiserver", module: "k8s.io/kubernetes"},
	{name: Etcd, pkg: "go.etcd.io/etcd/server/v3", module: "go.etcd.io/etcd/server/v3"},
	{name: Kubectl, pkg: "k8s.io/kubernetes/cmd/kubectl", module: "k8s.io/kubernetes"},
	{name: KubeControllerManager, pkg: "k8s.io/kubernetes/cmd/kube-controller-manager", module: "k8s.io/kubernetes"},
	{name: KubeScheduler, pkg: "k8s.io/kubernetes/cmd/kube-scheduler", module: "k8s.io/kubernetes"},
	{
		name: Kwok, pkg: "sigs.k8s.io/kwok/cmd/kwok", module: "sigs.k8s.io/kwok",
		files: []string{"kustomize/stage/pod/fast/pod-*.yaml", "kustomize/stage/node/fast/node-*.yaml"},
	},
	fluxController(SourceController),
	fluxController(KustomizeController),
	fluxController(HelmController),
	fluxController(NotificationController),
}

func fluxController(name string) binary {
	module := "github.com/fluxcd/" + name
	return binary{name: name, pkg: module, module: module, files: []string{"config/crd/bases/*.yaml"}}
}

// Envtest returns the names of the programs that controller-runtime's envtest
// starts, the ones that KUBEBUILDER_ASSETS and setup-envtest stand for.
func Envtest() []string {
	return []string{KubeAPIServer, Etcd, Kubectl}
}

// All returns the names of all programs.
func All() []string {
	names := make([]string, 0, len(catalogue))
	for _, b := range catalogue {
		names = append(names, b.name)
	}
	return names
}

// pick returns the programs of these names in the catalogue's order, or all of
// them when there are no names.
func pick(names []string) ([]binary, error) {
	if len(names) == 0 {
		return slices.Clone(catalogue), nil
	}
	for _, name := range names {
		if !slices.Contains(All(), name) {
			return nil, fmt.Errorf("there is no program called %q in the rig, only %v", name, All())
		}
	}
	var picked []binary
	for _, b := range catalogue {
		if slices.Contains(names, b.name) {
			picked = append(picked, b)
		}
	}
	return picked, nil
}
