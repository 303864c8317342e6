// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package admission

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/test/apiserver"
)

const mainstemNamespace = "mainstem-system"

// access is something that RBAC is asked about: a verb on resource.group, with a subresource after a slash.
type access struct {
	verb, resource, namespace string
}

// TestMainstemsRights : what the operator needs, and what it is better off without.
func TestMainstemsRights(t *testing.T) {
	for _, allowed := range []access{
		{"list", "environments.mainstem.dev", ""},
		{"promote", "environments.mainstem.dev", ""},
		{"watch", "applications.mainstem.dev", ""},
		{"patch", "applications.mainstem.dev", team},
		{"update", "applications.mainstem.dev/finalizers", team},
		{"update", "promotions.mainstem.dev/finalizers", team},
		{"patch", "applications.mainstem.dev/status", team},
		{"patch", "environments.mainstem.dev/status", ""},
		{"create", "releases.mainstem.dev", team},
		{"patch", "releases.mainstem.dev/status", team},
		{"delete", "releases.mainstem.dev", team},
		{"create", "promotions.mainstem.dev", team},
		{"patch", "promotions.mainstem.dev/status", team},
		{"list", "approvals.mainstem.dev", ""},
		{"delete", "approvals.mainstem.dev", team},
		{"list", "holds.mainstem.dev", ""},
		{"patch", "gitrepositories.source.toolkit.fluxcd.io", team},
		{"create", "kustomizations.kustomize.toolkit.fluxcd.io", team},
		{"watch", "kustomizations.kustomize.toolkit.fluxcd.io", ""},
		{"get", "secrets", team},
		{"get", "configmaps", team},
		{"get", "serviceaccounts", team},
		{"list", "namespaces", ""},
		{"create", "events", team},
		{"patch", "events.events.k8s.io", team},
		{"create", "leases.coordination.k8s.io", mainstemNamespace},
		{"update", "leases.coordination.k8s.io", mainstemNamespace},
	} {
		expectAccess(t, mainstem, allowed, true)
	}
	for _, denied := range []access{
		{"list", "secrets", ""},
		{"watch", "secrets", team},
		{"list", "configmaps", team},
		{"create", "secrets", team},
		{"patch", "serviceaccounts", team},
		{"impersonate", "serviceaccounts", team},
		{"create", "serviceaccounts/token", team},
		{"create", "applications.mainstem.dev", team},
		{"delete", "applications.mainstem.dev", team},
		{"create", "approvals.mainstem.dev", team},
		{"create", "holds.mainstem.dev", team},
		{"delete", "holds.mainstem.dev", team},
		{"patch", "environments.mainstem.dev", ""},
		{"update", "applications.mainstem.dev/status", team},
		{"approve", "environments.mainstem.dev", ""},
		{"bypass", "environments.mainstem.dev", ""},
		{"hold", "environments.mainstem.dev", ""},
		{"patch", "kustomizations.kustomize.toolkit.fluxcd.io/status", team},
		{"create", "deployments.apps", team},
		{"create", "leases.coordination.k8s.io", team},
		{"create", "pods", mainstemNamespace},
	} {
		expectAccess(t, mainstem, denied, false)
	}
}

// TestPeoplesRights : an editor of a namespace declares Applications, and has no say in what is promoted.
func TestPeoplesRights(t *testing.T) {
	const viewer, editor user = "victor", "edith"
	for _, resource := range []string{"applications", "approvals", "holds", "promotions", "releases"} {
		expectAccess(t, viewer, access{"list", resource + ".mainstem.dev", team}, true)
		expectAccess(t, viewer, access{"create", resource + ".mainstem.dev", team}, false)
		expectAccess(t, viewer, access{"list", resource + ".mainstem.dev", "default"}, false)
		expectAccess(t, editor, access{"create", resource + ".mainstem.dev", team}, resource == "applications")
		expectAccess(t, editor, access{"patch", resource + ".mainstem.dev/status", team}, false)
	}
}

func expectAccess(t *testing.T, u user, a access, expected bool) {
	t.Helper()
	name := string(u) + " " + a.verb + " " + a.resource + " in " + a.namespace
	t.Run(name, func(t *testing.T) {
		g := NewWithT(t)
		resource, subresource, _ := strings.Cut(a.resource, "/")
		resource, group, _ := strings.Cut(resource, ".")
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: string(u), Groups: u.groups(),
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: a.verb, Group: group, Resource: resource, Subresource: subresource, Namespace: a.namespace, Name: "any",
			},
		}}
		asker, err := superuser.client()
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(asker.Create(t.Context(), review)).To(Succeed())
		g.Expect(review.Status.Allowed).To(Equal(expected), review.Status.Reason)
	})
}

// TestPodSecurity : the operator's pods are let into their own namespace, which lets in nothing less restricted.
func TestPodSecurity(t *testing.T) {
	g := NewWithT(t)
	asker, err := superuser.client()
	g.Expect(err).NotTo(HaveOccurred())
	var deployment appsv1.Deployment
	g.Expect(asker.Get(t.Context(), client.ObjectKey{Namespace: mainstemNamespace, Name: "mainstem"}, &deployment)).To(Succeed())

	pod := func() *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: mainstemNamespace, Name: "mainstem", Labels: deployment.Spec.Template.Labels},
			Spec:       *deployment.Spec.Template.Spec.DeepCopy(),
		}
	}
	dry := client.NewDryRunClient(asker)
	g.Expect(dry.Create(t.Context(), pod())).To(Succeed())

	loose := pod()
	loose.Spec.SecurityContext.RunAsNonRoot = nil
	g.Expect(dry.Create(t.Context(), loose)).To(MatchError(ContainSubstring("violates PodSecurity")))

	container := deployment.Spec.Template.Spec.Containers[0]
	g.Expect(container.SecurityContext.ReadOnlyRootFilesystem).To(HaveValue(BeTrue()), "which PodSecurity does not ask for")
	g.Expect(deployment.Spec.Replicas).To(HaveValue(BeNumerically(">=", 2)))
}

// TestTheSelectorsMeet : service, network policy and disruption budget are about the Deployment's pods, and name ports
// that there are.
func TestTheSelectorsMeet(t *testing.T) {
	g := NewWithT(t)
	asker, err := superuser.client()
	g.Expect(err).NotTo(HaveOccurred())
	var deployment appsv1.Deployment
	g.Expect(asker.Get(t.Context(), client.ObjectKey{Namespace: mainstemNamespace, Name: "mainstem"}, &deployment)).To(Succeed())
	var service corev1.Service
	g.Expect(asker.Get(t.Context(), client.ObjectKey{Namespace: mainstemNamespace, Name: "mainstem-webhooks"}, &service)).To(Succeed())

	podLabels := deployment.Spec.Template.Labels
	for key, value := range service.Spec.Selector {
		g.Expect(podLabels).To(HaveKeyWithValue(key, value))
	}
	ports := map[string]int32{}
	for _, port := range deployment.Spec.Template.Spec.Containers[0].Ports {
		ports[port.Name] = port.ContainerPort
	}
	g.Expect(ports).To(Equal(map[string]int32{"metrics": 8080, "health": 8081, "webhooks": 9292}))
	for _, port := range service.Spec.Ports {
		g.Expect(ports).To(HaveKey(port.TargetPort.StrVal))
	}
}

// TestAnotherNamespace : the policies know the operator's account wherever it is installed.
func TestAnotherNamespace(t *testing.T) {
	g := NewWithT(t)
	dir := filepath.Join(t.TempDir(), "config")
	g.Expect(os.CopyFS(dir, os.DirFS(filepath.Join(apiserver.Root(), "config")))).To(Succeed())
	operator := filepath.Join(dir, "operator", "kustomization.yaml")
	content, err := os.ReadFile(operator)
	g.Expect(err).NotTo(HaveOccurred())
	moved := strings.ReplaceAll(string(content), "\nnamespace: "+mainstemNamespace+"\n", "\nnamespace: elsewhere\n")
	g.Expect(moved).NotTo(Equal(string(content)))
	g.Expect(os.WriteFile(operator, []byte(moved), 0o600)).To(Succeed())

	manifests, err := apiserver.Kustomize(t.Context(), filepath.Join(dir, "default"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(manifests)).NotTo(ContainSubstring(mainstemNamespace))

	objects, err := parse(manifests)
	g.Expect(err).NotTo(HaveOccurred())
	naming := 0
	for _, object := range objects {
		if object.GetKind() != "ValidatingAdmissionPolicy" {
			continue
		}
		policy := decode[admissionregistrationv1.ValidatingAdmissionPolicy](t, object)
		g.Expect(policy.Namespace).To(BeEmpty())
		for _, variable := range policy.Spec.Variables {
			if variable.Name == "mainstem" {
				naming++
				g.Expect(variable.Expression).To(Equal("'system:serviceaccount:elsewhere:mainstem'"))
			}
		}
	}
	g.Expect(naming).To(BeNumerically(">", 0))
}
