// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package admission

import (
	"context"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// TestBounds samples what the schemas say without CEL: lengths, patterns, enums, and names that may occur once.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		name  string
		as    user
		field string
		says  string
		try   attempt
	}{
		{"a duplicate upstream", paula, "spec.after[]", "Duplicate value", creating(environment, after("develop", "develop"))},
		{"17 upstreams", paula, "spec.after", "must have at most 16 items", creating(environment, after(names(17)...))},
		{"an upstream with a capital letter", paula, "spec.after[]", "should match", creating(environment, after("Develop"))},
		{"a promotion mode that there is not", paula, "spec.promotion", `"Automatic", "Manual"`, creating(environment, func(e *v1alpha1.Environment) { e.Spec.Promotion = "Sometimes" })},
		{"no service account", paula, "spec.target.serviceAccountName", "at least 1 chars long", creating(environment, func(e *v1alpha1.Environment) { e.Spec.Target.ServiceAccountName = "" })},
		{"a proof that there is not", paula, "spec.proof.accept[]", `"Commit", "Content", "Lineage"`, creating(environment, func(e *v1alpha1.Environment) { e.Spec.Proof = &v1alpha1.Proof{Accept: []v1alpha1.ProofKind{"Faith"}} })},
		{"two gates of one name", paula, "spec.gates[]", "Duplicate value", creating(environment, func(e *v1alpha1.Environment) {
			e.Spec.Gates = []v1alpha1.Gate{{Name: "ci", Checks: &v1alpha1.ChecksGate{}}, {Name: "ci", Approval: &v1alpha1.ApprovalGate{}}}
		})},
		{"17 approvals", paula, "spec.gates[].approval.required", "less than or equal to 16", creating(environment, func(e *v1alpha1.Environment) {
			e.Spec.Gates = []v1alpha1.Gate{{Name: "sign-off", Approval: &v1alpha1.ApprovalGate{Required: 17}}}
		})},
		{"a long description", paula, "spec.description", "may not be more than 256", creating(environment, func(e *v1alpha1.Environment) { e.Spec.Description = repeat("d", 257) })},
		{"an address without a name", tess, "spec.repository.url", "should match", creating(application, func(a *v1alpha1.Application) { a.Spec.Repository.URL = "https://github.com/acme" })},
		{"an address for ssh", tess, "spec.repository.url", "should match", creating(application, func(a *v1alpha1.Application) { a.Spec.Repository.URL = "git@github.com:acme/podinfo.git" })},
		{"an address with a password", tess, "spec.repository.url", "should match", creating(application, func(a *v1alpha1.Application) { a.Spec.Repository.URL = "https://me:secret@github.com/acme/podinfo" })},
		{"no environment", tess, "spec.environments", "should have at least 1 items", creating(application, func(a *v1alpha1.Application) { a.Spec.Environments = []v1alpha1.ApplicationEnvironment{} })},
		{"33 environments", tess, "spec.environments", "must have at most 32 items", creating(application, func(a *v1alpha1.Application) {
			a.Spec.Environments = nil
			for _, name := range names(33) {
				a.Spec.Environments = append(a.Spec.Environments, v1alpha1.ApplicationEnvironment{Name: name})
			}
		})},
		{"an environment twice", tess, "spec.environments[]", "Duplicate value", creating(application, func(a *v1alpha1.Application) {
			a.Spec.Environments = append(a.Spec.Environments, a.Spec.Environments...)
		})},
		{"a branch with a space", tess, branchPath, "should match", creating(application, branch("my branch"))},
		{"a deletion policy that there is not", tess, "spec.environments[].deletionPolicy", `"Orphan", "Delete"`, creating(application, entry(func(e *v1alpha1.ApplicationEnvironment) { e.DeletionPolicy = "Keep" }))},
		{"a short commit", mainstem, "spec.commit", "should match", creating(release, func(r *v1alpha1.Release) { r.Spec.Commit = "0123456" })},
		{"a sequence that begins at 0", mainstem, "spec.sequence", "greater than or equal to 1", creating(release, func(r *v1alpha1.Release) { r.Spec.Sequence = 0 })},
		{"a hold that is bypassed", bob, "spec.bypass[]", "should match", creating(promotion, requestedBy(bob), bypass, func(p *v1alpha1.Promotion) { p.Spec.Bypass = []string{"hold"} })},
		{"attempt 0", alice, "spec.attempt", "greater than or equal to 1", setting(promotion, 0, "spec", "attempt")},
		{"an answer that is neither yes nor no", alice, "spec.decision", `"Approve", "Reject"`, creating(approval, func(a *v1alpha1.Approval) { a.Spec.Decision = "Maybe" })},
		{"a hold without a reason", alice, "spec.reason", "at least 1 chars long", creating(hold, func(h *v1alpha1.Hold) { h.Spec.Reason = "" })},
		{"an interval without a unit", tess, "spec.repository.interval", "should match", setting(application, "5", "spec", "repository", "interval")},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := NewWithT(t)
			asker, err := c.as.client()
			g.Expect(err).NotTo(HaveOccurred())
			expectCause(t, c.try(t.Context(), asker), c.field, c.says)
		})
	}
}

// TestAFieldThatThereIsNot : a typing error is not dropped in silence by clients that ask for strictness, as kubectl does.
func TestAFieldThatThereIsNot(t *testing.T) {
	g := NewWithT(t)
	asker, err := tess.client()
	g.Expect(err).NotTo(HaveOccurred())
	err = setting(application, "x", "spec", "environment")(t.Context(), client.WithFieldValidation(asker, metav1.FieldValidationStrict))
	g.Expect(err).To(MatchError(ContainSubstring(`unknown field "spec.environment"`)))
}

// TestTheBiggestObjects : the bounds allow what they say at once, within the API server's CEL budget.
func TestTheBiggestObjects(t *testing.T) {
	expectAccepted(t, paula, creating(environment, after(names(16)...), func(e *v1alpha1.Environment) { e.Spec.Gates = manyGates() }))
	expectAccepted(t, tess, creating(application, func(a *v1alpha1.Application) {
		a.Spec.Environments = nil
		for _, name := range names(32) {
			a.Spec.Environments = append(a.Spec.Environments, v1alpha1.ApplicationEnvironment{
				Name: name, Source: &v1alpha1.Source{Branch: repeat("b", 244)}, Gates: manyGates(),
				PullRequest: &v1alpha1.PullRequestPolicy{}, Deploy: &v1alpha1.Deploy{Kustomize: &v1alpha1.KustomizeDeploy{}},
			})
		}
	}))
}

func TestEnvironmentDefaults(t *testing.T) {
	g := NewWithT(t)
	e := created(t, environment)
	g.Expect(e.Spec.AllowedNamespaces).To(Equal(&v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll}))
	g.Expect(e.Spec.Promotion).To(Equal(v1alpha1.PromotionAutomatic))
	g.Expect(e.Spec.Proof).To(Equal(&v1alpha1.Proof{Accept: []v1alpha1.ProofKind{
		v1alpha1.ProofCommit, v1alpha1.ProofContent, v1alpha1.ProofLineage,
	}}))
	g.Expect(e.Spec.Timeouts).To(Equal(&v1alpha1.Timeouts{Deploy: &metav1.Duration{Duration: 10 * time.Minute}}))
	g.Expect(e.Status.ObservedGeneration).To(Equal(int64(-1)))
}

// TestEnvironmentDefaultsInside : a part that is there but empty gets the same defaults as one that is not.
func TestEnvironmentDefaultsInside(t *testing.T) {
	g := NewWithT(t)
	e := created(t, func() *v1alpha1.Environment {
		e := environment()
		e.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{}
		e.Spec.Proof = &v1alpha1.Proof{}
		e.Spec.Timeouts = &v1alpha1.Timeouts{}
		e.Spec.Gates = []v1alpha1.Gate{{Name: "sign-off", Approval: &v1alpha1.ApprovalGate{}}}
		return e
	})
	g.Expect(e.Spec.AllowedNamespaces.From).To(Equal(v1alpha1.NamespacesFromAll))
	g.Expect(e.Spec.Proof.Accept).To(HaveLen(3))
	g.Expect(e.Spec.Timeouts.Deploy.Duration).To(Equal(10 * time.Minute))
	g.Expect(e.Spec.Gates[0].Approval.Required).To(Equal(int32(1)))
	g.Expect(e.Spec.Gates[0].Approval.Distinct).To(HaveValue(BeTrue()))
}

func TestApplicationDefaults(t *testing.T) {
	g := NewWithT(t)
	a := created(t, func() *v1alpha1.Application {
		a := application()
		branch("main")(a)
		entry(func(e *v1alpha1.ApplicationEnvironment) { e.PullRequest = &v1alpha1.PullRequestPolicy{} })(a)
		return a
	})
	g.Expect(a.Spec.Repository.Interval).To(Equal(&metav1.Duration{Duration: 5 * time.Minute}))
	g.Expect(a.Spec.Suspend).To(BeFalse())
	g.Expect(a.Spec.Environments[0].DeletionPolicy).To(Equal(v1alpha1.DeletionOrphan))
	g.Expect(a.Spec.Environments[0].PullRequest.Merge).To(Equal(v1alpha1.MergeAutomatic))
	g.Expect(a.Status.ObservedGeneration).To(Equal(int64(-1)))
}

func TestPromotionDefaults(t *testing.T) {
	g := NewWithT(t)
	p := created(t, promotion)
	g.Expect(p.Spec.Attempt).To(Equal(int32(1)))
	g.Expect(p.Status.Phase).To(Equal(v1alpha1.PromotionPending))
}

// TestStatusOfANewObject : what somebody writes there when they create an object is not kept.
func TestStatusOfANewObject(t *testing.T) {
	g := NewWithT(t)
	a := created(t, func() *v1alpha1.Application {
		a := application()
		healthy(a)
		a.Status.ObservedGeneration = 1
		return a
	})
	g.Expect(a.Status).To(Equal(v1alpha1.ApplicationStatus{ObservedGeneration: -1}))
	p := created(t, func() *v1alpha1.Promotion {
		p := promotion()
		succeeded(p)
		return p
	})
	g.Expect(p.Status).To(Equal(v1alpha1.PromotionStatus{Phase: v1alpha1.PromotionPending}))
}

// TestStatusIsASubresource : status and spec are written apart, and the default gives way to what Mainstem says.
func TestStatusIsASubresource(t *testing.T) {
	g := NewWithT(t)
	e := created(t, environment)
	operator, err := mainstem.client()
	g.Expect(err).NotTo(HaveOccurred())

	before := client.MergeFrom(e.DeepCopy())
	e.Status.ObservedGeneration = e.Generation
	e.Status.Applications = &v1alpha1.ApplicationCount{Total: 2, Healthy: 1}
	e.Spec.Description = "not to be written"
	g.Expect(operator.Status().Patch(t.Context(), e, before)).To(Succeed())

	owner, err := paula.client()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(owner.Get(t.Context(), client.ObjectKeyFromObject(e), e)).To(Succeed())
	g.Expect(e.Spec.Description).To(BeEmpty())
	g.Expect(e.Status.ObservedGeneration).To(Equal(e.Generation))

	e.Spec.Description = "a stage"
	e.Status = v1alpha1.EnvironmentStatus{}
	g.Expect(owner.Update(t.Context(), e)).To(Succeed())
	g.Expect(e.Status.Applications.Total).To(Equal(int32(2)))
}

// created returns an object as its readers see it.
func created[T client.Object](t *testing.T, build func() T) T {
	t.Helper()
	g := NewWithT(t)
	object, err := existing(t.Context(), build)
	g.Expect(err).NotTo(HaveOccurred())
	reader, err := superuser.client()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(reader.Get(t.Context(), client.ObjectKeyFromObject(object), object)).To(Succeed())
	return object
}

// setting creates an object with a field that Go's types cannot hold, or would leave out.
func setting[T client.Object](build func() T, value any, path ...string) attempt {
	return func(ctx context.Context, as client.Client) error {
		object, err := toUnstructured(build())
		if err != nil {
			return err
		}
		if number, ok := value.(int); ok {
			value = int64(number)
		}
		if err := unstructured.SetNestedField(object.Object, value, path...); err != nil {
			return fmt.Errorf("setting %v: %w", path, err)
		}
		return as.Create(ctx, object)
	}
}

func after(names ...v1alpha1.EnvironmentName) func(*v1alpha1.Environment) {
	return func(e *v1alpha1.Environment) { e.Spec.After = names }
}

func names(count int) []v1alpha1.EnvironmentName {
	var all []v1alpha1.EnvironmentName
	for i := range count {
		all = append(all, v1alpha1.EnvironmentName(fmt.Sprintf("stage-%d", i)))
	}
	return all
}

// manyGates are as many as there may be.
func manyGates() []v1alpha1.Gate {
	var all []v1alpha1.Gate
	for i := range 32 {
		all = append(all, soakGate(fmt.Sprintf("soak-%d", i), "1h2m3s"))
	}
	return all
}
