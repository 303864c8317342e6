// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package tenant

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// Person is somebody with an account at the API server.
type Person struct {
	// Name is the user name.
	Name string
	// Client is what they work with.
	Client client.Client

	tenant *Tenant
}

// Person makes somebody who may write records, and has verbs on all Environments.
func (t *Tenant) Person(ctx context.Context, name string, verbs ...string) (*Person, error) {
	name = t.Own(name)
	return t.somebody(ctx, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}, name, verbs)
}

// Robot makes a service account of the namespace that may do what a person may.
func (t *Tenant) Robot(ctx context.Context, verbs ...string) (*Person, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: "robot"}}
	if err := t.Admin.Create(ctx, account); err != nil {
		return nil, fmt.Errorf("making a robot: %w", err)
	}
	subject := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: t.Namespace, Name: account.Name}
	return t.somebody(ctx, subject, "system:serviceaccount:"+t.Namespace+":"+account.Name, verbs, "system:serviceaccounts")
}

// somebody gives a subject its rights, and a client that speaks as it.
func (t *Tenant) somebody(ctx context.Context, subject rbacv1.Subject, user string, verbs []string, groups ...string) (*Person, error) {
	name := t.Own(subject.Name)
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{v1alpha1.Group}, Resources: []string{"promotions", "approvals", "holds"}, Verbs: []string{"*"}},
	}}
	if len(verbs) > 0 {
		role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{v1alpha1.Group}, Resources: []string{"environments"}, Verbs: verbs})
	}
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: []rbacv1.Subject{subject},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}}
	for _, object := range []client.Object{role, binding} {
		if err := t.Admin.Create(ctx, object); err != nil {
			return nil, fmt.Errorf("giving %s rights: %w", user, err)
		}
	}
	config := rest.CopyConfig(t.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append([]string{"system:authenticated"}, groups...)}
	speaks, err := client.New(config, client.Options{Scheme: t.Admin.Scheme()})
	if err != nil {
		return nil, fmt.Errorf("making the client of %s: %w", user, err)
	}
	return &Person{Name: user, Client: speaks, tenant: t}, nil
}

// Promotion drafts a Promotion by hand. The attempt is one more than those that there are.
func (p *Person) Promotion(app string, env v1alpha1.EnvironmentName, release string, attempt int32) *v1alpha1.Promotion {
	return &v1alpha1.Promotion{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.tenant.Namespace, Name: render.PromotionName(app, env, release, attempt)},
		Spec: v1alpha1.PromotionSpec{Application: app, Environment: env, Release: release, Attempt: attempt,
			RequestedBy: p.Name, Reason: "somebody has to"},
	}
}

// Approval drafts a decision on a Promotion.
func (p *Person) Approval(promotion *v1alpha1.Promotion, decision v1alpha1.ApprovalDecision) *v1alpha1.Approval {
	return &v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{Namespace: promotion.Namespace, GenerateName: "decision-"},
		Spec: v1alpha1.ApprovalSpec{Promotion: promotion.Name, PromotionUID: string(promotion.UID), Environment: promotion.Spec.Environment,
			Approver: p.Name, Decision: decision, Comment: "looked at it"},
	}
}

// Hold drafts a Hold on an environment: of the tenant's own namespace, or of Mainstem's for everybody.
func (p *Person) Hold(namespace string, env v1alpha1.EnvironmentName) *v1alpha1.Hold {
	return &v1alpha1.Hold{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "hold-"},
		Spec:       v1alpha1.HoldSpec{Environment: env, Reason: "an audit", CreatedBy: p.Name},
	}
}
