// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	"context"
	"fmt"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// person is somebody with an account at the API server.
type person struct {
	world *world
	// name is the user name.
	name   string
	client client.Client
}

// person makes somebody who may write records, and has verbs on all Environments.
func (w *world) person(ctx context.Context, name string, verbs ...string) *person {
	GinkgoHelper()
	return &person{world: w, name: name + w.suffix, client: w.as(ctx, name, verbs...)}
}

// robot makes a service account of the namespace that may do what a person may.
func (w *world) robot(ctx context.Context, verbs ...string) *person {
	GinkgoHelper()
	robot := &person{world: w, name: "system:serviceaccount:" + w.namespace + ":robot"}
	w.as(ctx, "robot", verbs...)
	create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "robot-account" + w.suffix},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "robot" + w.suffix},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: w.namespace, Name: "robot"}}})
	var err error
	robot.client, err = client.New(server.AsServiceAccount(robot.name), client.Options{Scheme: clientgoscheme.Scheme})
	Expect(err).NotTo(HaveOccurred())
	return robot
}

// promotes creates a Promotion by hand, numbered after those that exist.
func (p *person) promotes(ctx context.Context, env, release string, with ...func(*v1alpha1.PromotionSpec)) (*v1alpha1.Promotion, error) {
	GinkgoHelper()
	w := p.world
	attempt := w.attempt(ctx, env, release).Spec.Attempt + 1
	promotion := &v1alpha1.Promotion{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: render.PromotionName(w.app, w.env(env), release, attempt)},
		Spec: v1alpha1.PromotionSpec{Application: w.app, Environment: w.env(env), Release: release, Attempt: attempt,
			RequestedBy: p.name, Reason: "somebody has to"},
	}
	for _, edit := range with {
		edit(&promotion.Spec)
	}
	return promotion, p.client.Create(ctx, promotion)
}

func bypassing(gates ...string) func(*v1alpha1.PromotionSpec) {
	return func(spec *v1alpha1.PromotionSpec) { spec.Bypass = gates }
}

func rollingBack(spec *v1alpha1.PromotionSpec) { spec.Rollback = true }

// records numbers Approvals and Holds.
var records atomic.Int64

// decides creates an Approval.
func (p *person) decides(ctx context.Context, promotion v1alpha1.Promotion, decision v1alpha1.ApprovalDecision) (*v1alpha1.Approval, error) {
	approval := &v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{Namespace: promotion.Namespace, Name: fmt.Sprintf("decision-%d", records.Add(1))},
		Spec: v1alpha1.ApprovalSpec{Promotion: promotion.Name, PromotionUID: string(promotion.UID), Environment: promotion.Spec.Environment,
			Approver: p.name, Decision: decision, Comment: "looked at it"},
	}
	return approval, p.client.Create(ctx, approval)
}

// holds creates a Hold in a namespace, on an environment of the world.
func (p *person) holds(ctx context.Context, namespace, env string, with ...func(*v1alpha1.HoldSpec)) (*v1alpha1.Hold, error) {
	hold := &v1alpha1.Hold{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("hold-%d", records.Add(1))},
		Spec:       v1alpha1.HoldSpec{Environment: p.world.env(env), Reason: "audit of " + env, CreatedBy: p.name},
	}
	for _, edit := range with {
		edit(&hold.Spec)
	}
	err := p.client.Create(ctx, hold)
	return hold, err
}

// gate is how a gate stands for what comes next in an environment.
func (w *world) gate(ctx context.Context, env, name string) v1alpha1.GateStatus {
	GinkgoHelper()
	for _, gate := range w.state(ctx, env).Gates {
		if gate.Name == name {
			return gate
		}
	}
	return v1alpha1.GateStatus{}
}

// finishes waits until a Promotion is in a phase for a reason, and returns it.
func (w *world) finishes(ctx context.Context, promotion *v1alpha1.Promotion, phase v1alpha1.PromotionPhase, reason string) v1alpha1.Promotion {
	GinkgoHelper()
	var found v1alpha1.Promotion
	Eventually(func(g Gomega) {
		g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(promotion), &found)).To(Succeed())
		g.Expect(found.Status.Phase).To(Equal(phase), "%s\n%s", found.Status.Message, w.story(ctx))
		g.Expect(found.Status.Reason).To(Equal(reason), "%s\n%s", found.Status.Message, w.story(ctx))
	}).WithContext(ctx).Should(Succeed())
	return found
}

// asks waits until there is a Promotion of a commit into an environment that waits for its gates.
func (w *world) asks(ctx context.Context, env, commit string) v1alpha1.Promotion {
	GinkgoHelper()
	var promotion v1alpha1.Promotion
	Eventually(func(g Gomega) {
		promotion = w.attempt(ctx, env, w.release(ctx, commit, ""))
		g.Expect(promotion.Status.Gates).NotTo(BeEmpty(), "%s", w.story(ctx))
		g.Expect(promotion.Status.Phase).To(Equal(v1alpha1.PromotionPending), "%s", w.story(ctx))
	}).WithContext(ctx).Should(Succeed())
	return promotion
}
