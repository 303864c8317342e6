// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/test/tenant"
)

// person is somebody with an account at the API server.
type person struct {
	*tenant.Person
	world *world
}

// person makes somebody who may write records, and has verbs on all Environments.
func (w *world) person(ctx context.Context, name string, verbs ...string) *person {
	GinkgoHelper()
	made, err := w.app.Person(ctx, name, verbs...)
	Expect(err).NotTo(HaveOccurred())
	return w.knows(ctx, made)
}

// robot makes a service account of the namespace that may do what a person may.
func (w *world) robot(ctx context.Context, verbs ...string) *person {
	GinkgoHelper()
	made, err := w.app.Robot(ctx, verbs...)
	Expect(err).NotTo(HaveOccurred())
	return w.knows(ctx, made)
}

// knows waits until the API server has heard of somebody's rights, which it follows as others follow objects.
func (w *world) knows(ctx context.Context, made *tenant.Person) *person {
	GinkgoHelper()
	may := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
		Namespace: w.namespace, Verb: "create", Group: v1alpha1.Group, Resource: "promotions",
	}}}
	Eventually(func(g Gomega) {
		review := may.DeepCopy()
		g.Expect(made.Client.Create(ctx, review)).To(Succeed())
		g.Expect(review.Status.Allowed).To(BeTrue(), "%s: %s", made.Name, review.Status.Reason)
	}).WithContext(ctx).Should(Succeed())
	return &person{Person: made, world: w}
}

// promotes creates a Promotion by hand, numbered after those that exist.
func (p *person) promotes(ctx context.Context, env, release string, with ...func(*v1alpha1.PromotionSpec)) (*v1alpha1.Promotion, error) {
	GinkgoHelper()
	promotion := p.Promotion(p.world.app.Name, p.world.env(env), release, p.world.attempt(ctx, env, release).Spec.Attempt+1)
	for _, edit := range with {
		edit(&promotion.Spec)
	}
	return promotion, p.Client.Create(ctx, promotion)
}

func bypassing(gates ...string) func(*v1alpha1.PromotionSpec) {
	return func(spec *v1alpha1.PromotionSpec) { spec.Bypass = gates }
}

func rollingBack(spec *v1alpha1.PromotionSpec) { spec.Rollback = true }

// decides creates an Approval.
func (p *person) decides(ctx context.Context, promotion v1alpha1.Promotion, decision v1alpha1.ApprovalDecision) (*v1alpha1.Approval, error) {
	approval := p.Approval(&promotion, decision)
	return approval, p.Client.Create(ctx, approval)
}

// holds creates a Hold in a namespace, on an environment of the world.
func (p *person) holds(ctx context.Context, namespace, env string, with ...func(*v1alpha1.HoldSpec)) (*v1alpha1.Hold, error) {
	hold := p.Hold(namespace, p.world.env(env))
	for _, edit := range with {
		edit(&hold.Spec)
	}
	err := p.Client.Create(ctx, hold)
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

// reaches waits until a Promotion is in a phase for a reason, and returns it.
func (w *world) reaches(ctx context.Context, promotion *v1alpha1.Promotion, phase v1alpha1.PromotionPhase, reason string) v1alpha1.Promotion {
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
		promotion = w.attempt(ctx, env, w.release(commit))
		g.Expect(promotion.Status.Gates).NotTo(BeEmpty(), "%s", w.story(ctx))
		g.Expect(promotion.Status.Phase).To(Equal(v1alpha1.PromotionPending), "%s", w.story(ctx))
	}).WithContext(ctx).Should(Succeed())
	return promotion
}
