// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package flux stands in for Flux's controllers where a test wants to say itself what Flux reports: it sets the statuses of
// GitRepositories and Kustomizations as source- and kustomize-controller 1.9 do, conditions first and revisions in a second request,
// and fetches and applies nothing.
package flux

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Verdict is what Flux is to report about a commit.
type Verdict string

const (
	// Healthy : applied and healthy.
	Healthy Verdict = "Healthy"
	// Unhealthy : applied, and the health check failed.
	Unhealthy Verdict = "Unhealthy"
	// Busy : Flux is at it and says nothing.
	Busy Verdict = "Busy"
	// PathMissing : the directory is not in the artifact.
	PathMissing Verdict = "PathMissing"
	// Unfetched : the source cannot be fetched, because its branch does not have the commit.
	Unfetched Verdict = "Unfetched"
)

// MendedPath is the one directory that a commit has whose verdict is PathMissing.
const MendedPath = "./deploy/mended"

// concurrent is how many objects are reported on at the same time: with many of them, the stub is not to be what is waited for.
const concurrent = 4

// Stub reports on what Mainstem makes in one API server.
type Stub struct {
	// Resolve finds the commit of a tag, for sources that refer to one.
	Resolve func(url, tag string) string

	mutex    sync.Mutex
	applied  map[types.NamespacedName][]string
	verdicts map[string]Verdict
	changed  chan event.GenericEvent
	refetch  chan event.GenericEvent
	client   client.Client
	// fetcher writes as source-controller, applier as kustomize-controller.
	fetcher, applier client.Client
}

// New makes a Stub that finds everything Healthy.
func New() *Stub {
	return &Stub{applied: map[types.NamespacedName][]string{}, verdicts: map[string]Verdict{}, changed: make(chan event.GenericEvent, 1024), refetch: make(chan event.GenericEvent, 1024)}
}

// Find says what is to be reported about a commit from now on, wherever it is deployed.
func (s *Stub) Find(ctx context.Context, commit string, verdict Verdict) error {
	s.mutex.Lock()
	s.verdicts[commit] = verdict
	s.mutex.Unlock()
	var all kustomizev1.KustomizationList
	if err := s.client.List(ctx, &all); err != nil {
		return fmt.Errorf("listing Kustomizations: %w", err)
	}
	for i := range all.Items {
		s.changed <- event.GenericEvent{Object: &all.Items[i]}
	}
	var sources sourcev1.GitRepositoryList
	if err := s.client.List(ctx, &sources); err != nil {
		return fmt.Errorf("listing GitRepositories: %w", err)
	}
	for i := range sources.Items {
		if ref := sources.Items[i].Spec.Reference; ref != nil && ref.Commit == commit {
			s.refetch <- event.GenericEvent{Object: &sources.Items[i]}
		}
	}
	return nil
}

// Applies says what is in the inventory of a Kustomization from the next time that it is found healthy: <namespace>_<name>_<group>_<kind>.
func (s *Stub) Applies(kustomization types.NamespacedName, targets ...string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.applied[kustomization] = targets
}

func (s *Stub) inventory(k *kustomizev1.Kustomization) *kustomizev1.ResourceInventory {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var inventory *kustomizev1.ResourceInventory
	for _, target := range s.applied[client.ObjectKeyFromObject(k)] {
		if inventory == nil {
			inventory = &kustomizev1.ResourceInventory{}
		}
		inventory.Entries = append(inventory.Entries, kustomizev1.ResourceRef{ID: target, Version: "v1"})
	}
	return inventory
}

func (s *Stub) verdict(commit string) Verdict {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if verdict, said := s.verdicts[commit]; said {
		return verdict
	}
	return Healthy
}

// Run reports until the context ends, as the accounts of source- and kustomize-controller.
func (s *Stub) Run(ctx context.Context, fetcher, applier *rest.Config) error {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{sourcev1.AddToScheme, kustomizev1.AddToScheme} {
		if err := add(scheme); err != nil {
			return fmt.Errorf("building the scheme: %w", err)
		}
	}
	mgr, err := ctrl.NewManager(applier, ctrl.Options{Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0"})
	if err != nil {
		return fmt.Errorf("making the stub's manager: %w", err)
	}
	s.client = mgr.GetClient()
	if s.fetcher, err = client.New(fetcher, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("making the client of source-controller: %w", err)
	}
	if s.applier, err = client.New(applier, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("making the client of kustomize-controller: %w", err)
	}
	skip := true
	options := controller.Options{SkipNameValidation: &skip, MaxConcurrentReconciles: concurrent}
	if err := ctrl.NewControllerManagedBy(mgr).Named("source-stub").WithOptions(options).For(&sourcev1.GitRepository{}).
		WatchesRawSource(source.Channel(s.refetch, &handler.EnqueueRequestForObject{})).
		Complete(reconcile.Func(s.reconcileSource)); err != nil {
		return fmt.Errorf("setting the stub up: %w", err)
	}
	if err := ctrl.NewControllerManagedBy(mgr).Named("kustomize-stub").WithOptions(options).For(&kustomizev1.Kustomization{}).
		Watches(&sourcev1.GitRepository{}, handler.EnqueueRequestsFromMapFunc(s.users)).
		WatchesRawSource(source.Channel(s.changed, &handler.EnqueueRequestForObject{})).
		Complete(reconcile.Func(s.reconcileKustomization)); err != nil {
		return fmt.Errorf("setting the stub up: %w", err)
	}
	return mgr.Start(ctx)
}

func (s *Stub) users(ctx context.Context, object client.Object) []reconcile.Request {
	var all kustomizev1.KustomizationList
	if err := s.client.List(ctx, &all, client.InNamespace(object.GetNamespace())); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range all.Items {
		if all.Items[i].Spec.SourceRef.Name == object.GetName() {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&all.Items[i])})
		}
	}
	return requests
}

// reconcileSource reports an artifact at the commit that is asked for.
func (s *Stub) reconcileSource(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	var repository sourcev1.GitRepository
	if err := s.client.Get(ctx, request.NamespacedName, &repository); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	revision := s.revision(&repository)
	if repository.Status.Artifact != nil && repository.Status.Artifact.Revision == revision && repository.Status.ObservedGeneration == repository.Generation {
		return reconcile.Result{}, nil
	}
	before := repository.DeepCopy()
	if ref := repository.Spec.Reference; ref != nil && s.verdict(ref.Commit) == Unfetched {
		message := "failed to checkout and determine revision: unable to resolve commit object for '" + ref.Commit + "': object not found"
		apimeta.SetStatusCondition(&repository.Status.Conditions, metav1.Condition{Type: sourcev1.FetchFailedCondition, Status: metav1.ConditionTrue,
			Reason: sourcev1.GitOperationFailedReason, Message: message, ObservedGeneration: repository.Generation})
		setReady(&repository.Status.Conditions, metav1.ConditionFalse, sourcev1.GitOperationFailedReason, message, repository.Generation)
		return reconcile.Result{}, client.IgnoreNotFound(report(ctx, s.fetcher, before, &repository))
	}
	apimeta.RemoveStatusCondition(&repository.Status.Conditions, sourcev1.FetchFailedCondition)
	repository.Status.ObservedGeneration = repository.Generation
	repository.Status.Artifact = &meta.Artifact{
		Path: request.String(), URL: "http://source-controller.flux-system.svc/" + request.String(), Revision: revision,
		Digest: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", LastUpdateTime: metav1.Now(),
	}
	setReady(&repository.Status.Conditions, metav1.ConditionTrue, "Succeeded", "stored artifact for revision '"+revision+"'", repository.Generation)
	return reconcile.Result{}, client.IgnoreNotFound(report(ctx, s.fetcher, before, &repository))
}

func (s *Stub) revision(repository *sourcev1.GitRepository) string {
	ref := repository.Spec.Reference
	switch {
	case ref == nil:
		return ""
	case ref.Commit != "":
		return ref.Branch + "@sha1:" + ref.Commit
	case ref.Tag != "" && s.Resolve != nil:
		return ref.Tag + "@sha1:" + s.Resolve(repository.Spec.URL, ref.Tag)
	}
	return ""
}

// reconcileKustomization reports the verdict about the commit of its source.
func (s *Stub) reconcileKustomization(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	var k kustomizev1.Kustomization
	if err := s.client.Get(ctx, request.NamespacedName, &k); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	var repository sourcev1.GitRepository
	err := s.client.Get(ctx, types.NamespacedName{Namespace: k.Namespace, Name: k.Spec.SourceRef.Name}, &repository)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, err
	}
	before := k.DeepCopy()
	if err != nil || repository.Status.Artifact == nil {
		setReady(&k.Status.Conditions, metav1.ConditionFalse, meta.ArtifactFailedReason, "Source artifact not found, retrying in 30s", k.Generation)
	} else {
		s.judge(&k, repository.Status.Artifact.Revision)
	}
	if equality.Semantic.DeepEqual(before.Status, k.Status) {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, client.IgnoreNotFound(report(ctx, s.applier, before, &k))
}

// reported is an object about which Flux reports in conditions.
type reported[T any] interface {
	client.Object
	meta.ObjectWithConditions
	meta.ObjectWithConditionsSetter
	DeepCopy() T
}

// report writes what has changed in a status since before, as Flux's controllers do: the conditions first, and the rest, such as
// revisions, in a second request. Whoever watches sees the object in between.
func report[T reported[T]](ctx context.Context, writer client.Client, before, after T) error {
	between := before.DeepCopy()
	between.SetConditions(after.GetConditions())
	rest := client.MergeFrom(between.DeepCopy())
	if err := change(ctx, writer, between, client.MergeFrom(before)); err != nil {
		return err
	}
	return change(ctx, writer, after, rest)
}

// change patches a status, unless there is nothing to change.
func change(ctx context.Context, writer client.Client, object client.Object, patch client.Patch) error {
	data, err := patch.Data(object)
	if err != nil {
		return fmt.Errorf("comparing %s: %w", object.GetName(), err)
	}
	if string(data) == "{}" {
		return nil
	}
	return writer.Status().Patch(ctx, object, patch)
}

func (s *Stub) judge(k *kustomizev1.Kustomization, revision string) {
	if asked, is := meta.ReconcileAnnotationValue(k.Annotations); is {
		k.Status.SetLastHandledReconcileRequest(asked)
	}
	commit := revision[len(revision)-40:]
	verdict := s.verdict(commit)
	if verdict == PathMissing && k.Spec.Path != MendedPath {
		message := fmt.Sprintf("kustomization path not found: stat /tmp/kustomization-%d%s: no such file or directory", time.Now().UnixNano(), strings.TrimPrefix(k.Spec.Path, "."))
		setReady(&k.Status.Conditions, metav1.ConditionFalse, meta.ArtifactFailedReason, message, k.Generation)
		return
	}
	k.Status.LastAttemptedRevision = revision
	switch verdict {
	case Healthy, PathMissing:
		k.Status.LastAppliedRevision, k.Status.Inventory = revision, s.inventory(k)
		k.Status.ObservedGeneration = k.Generation
		setReady(&k.Status.Conditions, metav1.ConditionTrue, meta.ReconciliationSucceededReason, "Applied revision: "+revision, k.Generation)
	case Unhealthy:
		setReady(&k.Status.Conditions, metav1.ConditionFalse, meta.HealthCheckFailedReason, "health check failed after 30s: Deployment/podinfo status: 'InProgress'", k.Generation)
	case Busy, Unfetched:
		setReady(&k.Status.Conditions, metav1.ConditionUnknown, meta.ProgressingReason, "Reconciliation in progress", k.Generation)
	}
}

func setReady(conditions *[]metav1.Condition, status metav1.ConditionStatus, reason, message string, generation int64) {
	apimeta.SetStatusCondition(conditions, metav1.Condition{Type: meta.ReadyCondition, Status: status, Reason: reason, Message: message,
		ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(time.Now())})
}
