// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package admission

import (
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// fluxObjects is the policy on what Mainstem makes in Flux.
func fluxObjects(says string) reference { return policyRule("flux-objects.mainstem.dev", says) }

// fluxObjectRefusals are attempts to deploy past Mainstem.
var fluxObjectRefusals = []refusal{
	{
		name: "a kustomization dressed as Mainstem's", rule: fluxObjects("take the label away, or declare an Application"), as: tess,
		refused: creating(kustomization), accepted: creating(kustomization, undressed),
	},
	{
		name: "a gitrepository dressed as Mainstem's", rule: fluxObjects("with the label mainstem.dev/instance"), as: tess,
		refused: creating(gitRepository), accepted: creating(gitRepository, undressed),
	},
	{
		name: "a superuser's", rule: fluxObjects("take the label away, or declare an Application"), as: superuser,
		refused: creating(kustomization), accepted: creating(kustomization, undressed),
	},
	{
		name: "suspended by hand", rule: fluxObjects("create a Hold to keep new releases out, or set spec.suspend of the Application"), as: tess,
		refused:  updating(kustomization, suspended),
		accepted: creating(application, func(a *v1alpha1.Application) { a.Spec.Suspend = true }),
	},
	{
		name: "a source suspended by hand", rule: fluxObjects("not suspended or resumed by hand"), as: tess,
		refused:  updating(gitRepository, func(g *sourcev1.GitRepository) { g.Spec.Suspend = true }),
		accepted: updating(plain(gitRepository), func(g *sourcev1.GitRepository) { g.Spec.Suspend = true }),
	},
	{
		name: "another source", rule: fluxObjects("change spec.deploy of the Application, or create a Promotion"), as: tess,
		refused:    updating(kustomization, func(k *kustomizev1.Kustomization) { k.Spec.SourceRef.Name = "mine" }),
		acceptedAs: mainstem,
		accepted:   updating(kustomization, func(k *kustomizev1.Kustomization) { k.Spec.SourceRef.Name = "next" }),
	},
	{
		name: "another commit", rule: fluxObjects("change spec.deploy of the Application, or create a Promotion"), as: tess,
		refused:  updating(gitRepository, repinned),
		accepted: updating(plain(gitRepository), repinned),
	},
	{
		name: "another commit by a service account", rule: fluxObjects("change spec.deploy of the Application"), as: robot,
		refused:    updating(gitRepository, repinned),
		acceptedAs: mainstem,
		accepted:   updating(gitRepository, repinned),
	},
	{
		name: "another controller of Flux", rule: fluxObjects("change spec.deploy of the Application"), as: notificationController,
		refused: updating(gitRepository, repinned),
		// What a Receiver does.
		accepted: updating(gitRepository, annotated[*sourcev1.GitRepository](fluxmeta.ReconcileRequestAnnotation)),
	},
	{
		name: "a kustomization that is dressed later", rule: fluxObjects("leave metadata.labels as they are"), as: tess,
		refused:  updating(plain(kustomization), func(k *kustomizev1.Kustomization) { k.Labels = labels() }),
		accepted: updating(plain(kustomization), func(k *kustomizev1.Kustomization) { k.Labels = map[string]string{"team": "a"} }),
	},
	{
		name: "a kustomization that is undressed", rule: fluxObjects("leave metadata.labels as they are"), as: tess,
		refused: updating(kustomization, func(k *kustomizev1.Kustomization) { k.Labels = nil }),
		// What flux reconcile does.
		accepted: updating(kustomization, annotated[*kustomizev1.Kustomization](fluxmeta.ReconcileRequestAnnotation)),
	},
	{
		name: "another release's name", rule: fluxObjects("leave annotations that begin with mainstem.dev/"), as: tess,
		refused:  updating(kustomization, annotated[*kustomizev1.Kustomization](v1alpha1.ReleaseAnnotation)),
		accepted: updating(kustomization, annotated[*kustomizev1.Kustomization]("example.com/somebody-else-put-it")),
	},
	{
		name: "a new annotation of Mainstem's", rule: fluxObjects("leave annotations that begin with mainstem.dev/"), as: tess,
		refused:  updating(kustomization, annotated[*kustomizev1.Kustomization]("mainstem.dev/new")),
		accepted: updating(kustomization, annotated[*kustomizev1.Kustomization]("example.com/new")),
	},
	{
		name: "annotations taken away", rule: fluxObjects("others, such as reconcile.fluxcd.io/requestedAt, you may set"), as: tess,
		refused: updating(kustomization, func(k *kustomizev1.Kustomization) { k.Annotations = nil }),
		accepted: updating(kustomization, func(k *kustomizev1.Kustomization) {
			delete(k.Annotations, "example.com/somebody-else-put-it")
			delete(k.Annotations, fluxmeta.ReconcileRequestAnnotation)
		}),
	},
	{
		name: "another commit in notifications", rule: fluxObjects("or event.toolkit.fluxcd.io/ as they are"), as: tess,
		refused:    updating(kustomization, annotated[*kustomizev1.Kustomization]("event.toolkit.fluxcd.io/commit")),
		acceptedAs: mainstem,
		accepted:   updating(kustomization, annotated[*kustomizev1.Kustomization]("event.toolkit.fluxcd.io/commit")),
	},
	{
		name: "deletion by way of the garbage collector", rule: fluxObjects("leave metadata.ownerReferences and metadata.finalizers as they are"), as: tess,
		refused: updating(kustomization, owned), acceptedAs: garbageCollector, accepted: updating(kustomization, owned),
	},
	{
		name: "a finalizer that Flux did not take off", rule: fluxObjects("they decide about its deletion"), as: tess,
		refused: updating(kustomization, finalized), acceptedAs: kustomizeController, accepted: updating(kustomization, finalized),
	},
	{
		name: "a kustomization deleted by hand", rule: fluxObjects("set deletionPolicy: Delete on the environment in the Application"), as: tess,
		refused: deleting(kustomization), acceptedAs: mainstem, accepted: deleting(kustomization),
	},
	{
		name: "all sources deleted by hand", rule: fluxObjects("to remove what it deploys"), as: tess,
		refused: deletingAll(gitRepository), accepted: deleting(plain(gitRepository)),
	},
}

// fluxStatusRefusals are attempts to say that Flux deployed something.
var fluxStatusRefusals = []refusal{
	{
		name: "a release that is said to be applied and healthy", rule: policyRule("flux-status.mainstem.dev", "run flux reconcile to have it looked at again"), as: tess,
		refused: updatingStatus(kustomization, applied), acceptedAs: kustomizeController, accepted: updatingStatus(kustomization, applied),
	},
	{
		name: "an artifact from somewhere else", rule: policyRule("flux-status.mainstem.dev", "Mainstem takes it as proof of what runs"), as: tess,
		refused: updatingStatus(gitRepository, fetched), acceptedAs: sourceController, accepted: updatingStatus(gitRepository, fetched),
	},
	{
		name: "Mainstem's own word", rule: policyRule("flux-status.mainstem.dev", "writes the status of this "), as: superuser,
		refused: updatingStatus(kustomization, applied), acceptedAs: tess, accepted: updatingStatus(plain(kustomization), applied),
	},
	{
		name: "the other controller's word", rule: policyRule("flux-status.mainstem.dev", "writes the status of this "), as: sourceController,
		refused: updatingStatus(kustomization, applied), acceptedAs: kustomizeController, accepted: updatingStatus(kustomization, applied),
	},
}

// TestFluxWorksOnMainstemsObjects : Flux's controllers put finalizers on, take them off and report.
func TestFluxWorksOnMainstemsObjects(t *testing.T) {
	expectAccepted(t, kustomizeController, updating(kustomization, finalized))
	expectAccepted(t, kustomizeController, updatingStatus(kustomization, applied))
	expectAccepted(t, sourceController, updating(gitRepository, finalized))
	expectAccepted(t, sourceController, updatingStatus(gitRepository, fetched))
}

// TestOtherFluxObjectsAreFree : the policies say nothing about what Mainstem did not make.
func TestOtherFluxObjectsAreFree(t *testing.T) {
	expectAccepted(t, tess, updating(plain(kustomization), suspended))
	expectAccepted(t, tess, updatingStatus(plain(kustomization), applied))
	expectAccepted(t, tess, deleting(plain(kustomization)))
	expectAccepted(t, tess, updating(plain(gitRepository), repinned))
	expectAccepted(t, tess, updatingStatus(plain(gitRepository), fetched))
	expectAccepted(t, tess, deleting(plain(gitRepository)))
}

// plain is the same object without Mainstem's labels and annotations: somebody's own.
func plain[T client.Object](build func() T) func() T {
	return func() T {
		object := build()
		undressed(object)
		return object
	}
}

func undressed[T client.Object](object T) {
	object.SetLabels(nil)
	object.SetAnnotations(nil)
}

func annotated[T client.Object](key string) func(T) {
	return func(object T) {
		annotations := map[string]string{key: "changed"}
		for existing, value := range object.GetAnnotations() {
			if existing != key {
				annotations[existing] = value
			}
		}
		object.SetAnnotations(annotations)
	}
}

func finalized[T client.Object](object T) { object.SetFinalizers([]string{"finalizers.fluxcd.io"}) }

func suspended(k *kustomizev1.Kustomization) { k.Spec.Suspend = true }

func repinned(g *sourcev1.GitRepository) { g.Spec.Reference.Commit = repeat("f", 40) }

func applied(k *kustomizev1.Kustomization) {
	k.Status.ObservedGeneration = k.Generation
	k.Status.LastAppliedRevision = "main@sha1:" + commit
	k.Status.Conditions = []metav1.Condition{ready()}
}

func fetched(g *sourcev1.GitRepository) {
	g.Status.ObservedGeneration = g.Generation
	g.Status.Artifact = &fluxmeta.Artifact{
		Path: "gitrepository/team-a/podinfo/" + commit + ".tar.gz", URL: "http://example.com/podinfo.tar.gz", Revision: "develop@sha1:" + commit,
		Digest: "sha256:" + repeat("0", 64), LastUpdateTime: metav1.Now(),
	}
	g.Status.Conditions = []metav1.Condition{ready()}
}

func ready() metav1.Condition {
	return metav1.Condition{Type: fluxmeta.ReadyCondition, Status: metav1.ConditionTrue, Reason: fluxmeta.SucceededReason, LastTransitionTime: metav1.Now()}
}
