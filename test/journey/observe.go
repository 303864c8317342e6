package journey

import (
	"context"
	"errors"
	"fmt"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	appsv1 "k8s.io/api/apps/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/test/tenant"
)

// Application reads the team's Application.
func (w *World) Application(ctx context.Context) (*v1alpha1.Application, error) {
	app := &v1alpha1.Application{}
	if err := w.Client.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: ApplicationName}, app); err != nil {
		return nil, fmt.Errorf("reading the Application: %w", err)
	}
	return app, nil
}

// state reads how the Application stands in an environment.
func (w *World) state(ctx context.Context, env v1alpha1.EnvironmentName) (*v1alpha1.EnvironmentState, error) {
	app, err := w.Application(ctx)
	if err != nil {
		return nil, err
	}
	for i := range app.Status.Environments {
		if app.Status.Environments[i].Name == env {
			return &app.Status.Environments[i], nil
		}
	}
	return nil, fmt.Errorf("the Application's status says nothing about %s", env)
}

// runs says what is missing until an environment runs a commit, healthy, by the Application's own status.
func (w *World) runs(ctx context.Context, env v1alpha1.EnvironmentName, commit string) error {
	state, err := w.state(ctx, env)
	switch {
	case err != nil:
		return err
	case state.Current == nil:
		return fmt.Errorf("%s runs nothing yet (%s)", env, state.WaitingFor)
	case state.Current.Commit != commit || state.Current.Healthy != metav1.ConditionTrue:
		return fmt.Errorf("%s runs %s (healthy: %s), not yet %s (%s)",
			env, short(state.Current.Commit), state.Current.Healthy, short(commit), state.WaitingFor)
	}
	return nil
}

// releaseOf finds the Release of a commit and tag.
func (w *World) releaseOf(ctx context.Context, commit, tag string) (*v1alpha1.Release, error) {
	var releases v1alpha1.ReleaseList
	if err := w.Client.List(ctx, &releases, client.InNamespace(Namespace)); err != nil {
		return nil, fmt.Errorf("listing Releases: %w", err)
	}
	for i := range releases.Items {
		if spec := &releases.Items[i].Spec; spec.Commit == commit && spec.Tag == tag {
			return &releases.Items[i], nil
		}
	}
	return nil, fmt.Errorf("there is no Release of %s %s yet", short(commit), tag)
}

// promotionOf finds the Promotion of a Release into an environment. There must be no second one.
func (w *World) promotionOf(ctx context.Context, env v1alpha1.EnvironmentName, release string) (*v1alpha1.Promotion, error) {
	var promotions v1alpha1.PromotionList
	if err := w.Client.List(ctx, &promotions, client.InNamespace(Namespace)); err != nil {
		return nil, fmt.Errorf("listing Promotions: %w", err)
	}
	var found *v1alpha1.Promotion
	for i := range promotions.Items {
		if spec := promotions.Items[i].Spec; spec.Environment != env || spec.Release != release {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("two Promotions, %s and %s, carry %s into %s", found.Name, promotions.Items[i].Name, release, env)
		}
		found = &promotions.Items[i]
	}
	if found == nil {
		return nil, fmt.Errorf("there is no Promotion of %s into %s yet", release, env)
	}
	return found, nil
}

// succeeded finds the Promotion of a Release into an environment, once it has succeeded.
func (w *World) succeeded(ctx context.Context, env v1alpha1.EnvironmentName, release string) (*v1alpha1.Promotion, error) {
	promotion, err := w.promotionOf(ctx, env, release)
	if err != nil {
		return nil, err
	}
	if promotion.Status.Phase != v1alpha1.PromotionSucceeded {
		return nil, fmt.Errorf("the Promotion %s is %s: %s", promotion.Name, promotion.Status.Phase, promotion.Status.Message)
	}
	return promotion, nil
}

// gate reads how a gate stands, or stood, for a Promotion.
func gate(promotion *v1alpha1.Promotion, name string) v1alpha1.GateStatus {
	for _, status := range promotion.Status.Gates {
		if status.Name == name {
			return status
		}
	}
	return v1alpha1.GateStatus{Name: name, Outcome: v1alpha1.GateUnknown, Message: "it was not asked"}
}

// Kustomization reads Flux's object of an environment.
func (w *World) Kustomization(ctx context.Context, env v1alpha1.EnvironmentName) (*kustomizev1.Kustomization, error) {
	found := &kustomizev1.Kustomization{}
	if err := w.Client.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: ApplicationName + "-" + string(env)}, found); err != nil {
		return nil, fmt.Errorf("reading the Kustomization: %w", err)
	}
	return found, nil
}

// deployed says what is missing until Flux has applied a commit in an environment and everything is available there. It
// looks at what Flux and Kubernetes say, not at what Mainstem says of them.
func (j *Journey) deployed(ctx context.Context, env v1alpha1.EnvironmentName, commit string) error {
	applied, err := j.Kustomization(ctx, env)
	if err != nil {
		return errors.Join(err, j.runs(ctx, env, commit))
	}
	ready := apimeta.FindStatusCondition(applied.Status.Conditions, meta.ReadyCondition)
	switch {
	case !strings.HasSuffix(applied.Status.LastAppliedRevision, ":"+commit):
		return fmt.Errorf("the Kustomization %s has applied %q, not yet %s", applied.Name, applied.Status.LastAppliedRevision, short(commit))
	case ready == nil || ready.Status != metav1.ConditionTrue:
		return fmt.Errorf("the Kustomization %s is not ready", applied.Name)
	case applied.Spec.ServiceAccountName != tenant.Deployer:
		return fmt.Errorf("the Kustomization %s is applied as %q and not as %s", applied.Name, applied.Spec.ServiceAccountName, tenant.Deployer)
	}
	running := &appsv1.Deployment{}
	if err := j.Client.Get(ctx, client.ObjectKey{Namespace: ApplicationName + "-" + string(env), Name: ApplicationName}, running); err != nil {
		return fmt.Errorf("reading the Deployment: %w", err)
	}
	image := running.Spec.Template.Spec.Containers[0].Image
	switch {
	case running.Spec.Replicas == nil || running.Status.AvailableReplicas != *running.Spec.Replicas:
		return errors.New("the Deployment is not available")
	case !strings.HasSuffix(image, ":"+commit[:12]):
		return fmt.Errorf("the Deployment runs %s, not %s", image, commit[:12])
	}
	j.see("Flux has applied it in %s and it is healthy:", env)
	j.show("Kustomization %s/%s: %s, Ready=%s (%s), as %s",
		applied.Namespace, applied.Name, applied.Status.LastAppliedRevision, ready.Status, ready.Reason, applied.Spec.ServiceAccountName)
	j.show("Deployment %s/%s: %s, %d of %d available",
		running.Namespace, running.Name, image, running.Status.AvailableReplicas, *running.Spec.Replicas)
	return nil
}
