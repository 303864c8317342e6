// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package admission

import (
	"fmt"
	"strings"
	"sync"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

const serviceAccountPrefix = "system:serviceaccount:"

// user asks the API server for something. What each of them may do is in testdata/people.yaml, for the accounts of
// Mainstem and Kubernetes in their own roles.
type user string

const (
	// paula owns Environments.
	paula user = "paula"
	// tess may do everything in team-a, and has no verb on an Environment.
	tess user = "tess"
	// alice may do everything in team-a, and promote, approve and hold in main.
	alice user = "alice"
	// bob may do everything in team-a, and promote into main past its gates.
	bob user = "bob"
	// superuser is a member of system:masters, whom RBAC denies nothing.
	superuser user = "superuser"

	// robot is a service account with all the verbs.
	robot user = serviceAccountPrefix + "team-a:robot"
	// mainstem is the operator, with the role that is shipped.
	mainstem user = serviceAccountPrefix + "mainstem-system:mainstem"

	sourceController       user = serviceAccountPrefix + "flux-system:source-controller"
	kustomizeController    user = serviceAccountPrefix + "flux-system:kustomize-controller"
	notificationController user = serviceAccountPrefix + "flux-system:notification-controller"

	garbageCollector    user = serviceAccountPrefix + "kube-system:generic-garbage-collector"
	namespaceController user = serviceAccountPrefix + "kube-system:namespace-controller"
	controllerManager   user = "system:kube-controller-manager"
)

// groups are those that an authenticator would give the user.
func (u user) groups() []string {
	groups := []string{"system:authenticated"}
	if account, ok := strings.CutPrefix(string(u), serviceAccountPrefix); ok {
		namespace, _, _ := strings.Cut(account, ":")
		groups = append(groups, "system:serviceaccounts", "system:serviceaccounts:"+namespace)
	}
	if u == superuser {
		groups = append(groups, "system:masters")
	}
	return groups
}

var (
	scheme      = newScheme()
	clients     = map[user]client.Client{}
	clientsLock sync.Mutex
)

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, v1alpha1.AddToScheme, sourcev1.AddToScheme, kustomizev1.AddToScheme,
	} {
		if err := add(s); err != nil {
			panic(fmt.Sprintf("a kind that is registered twice: %v", err))
		}
	}
	return s
}

// client returns a client that acts as the user.
func (u user) client() (client.Client, error) {
	clientsLock.Lock()
	defer clientsLock.Unlock()
	if c, ok := clients[u]; ok {
		return c, nil
	}
	config := rest.CopyConfig(admin)
	config.Impersonate = rest.ImpersonationConfig{UserName: string(u), Groups: u.groups()}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making the client of %s: %w", u, err)
	}
	clients[u] = c
	return c, nil
}
