// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package bench

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	eventv1 "github.com/fluxcd/pkg/apis/event/v1beta1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// commitAnnotation is where a Kustomization names the commit that it deploys.
var commitAnnotation = eventv1.Group + "/" + eventv1.MetaCommitKey

// place is a commit of an Application in an environment.
type place struct {
	namespace, application string
	environment            v1alpha1.EnvironmentName
	commit                 string
}

// origin is a commit of a repository in a namespace.
type origin struct{ namespace, url, commit string }

// moments are when things were first seen in the API server.
type moments struct {
	mu sync.Mutex
	// written and ready are when a source was there, and had its artifact.
	written, ready map[origin]time.Time
	// flipped is when a Kustomization asked for a commit, applied when Flux reported it as applied and healthy, current when the
	// Application's status said so.
	flipped, applied, current map[place]time.Time
	// healthy is when a Kustomization, of whoever, was ready for the first time.
	healthy map[client.ObjectKey]time.Time
	// sources are the GitRepositories there are, by namespace and name, and referred those that Kustomizations name.
	sources  map[client.ObjectKey]origin
	referred map[client.ObjectKey]client.ObjectKey
}

// watchMoments follows the API server until the context ends.
func watchMoments(ctx context.Context, config *rest.Config, options cache.Options) (*moments, error) {
	m := &moments{
		written: map[origin]time.Time{}, ready: map[origin]time.Time{},
		flipped: map[place]time.Time{}, applied: map[place]time.Time{}, current: map[place]time.Time{},
		healthy: map[client.ObjectKey]time.Time{}, sources: map[client.ObjectKey]origin{}, referred: map[client.ObjectKey]client.ObjectKey{},
	}
	watched, err := cache.New(config, options)
	if err != nil {
		return nil, fmt.Errorf("watching: %w", err)
	}
	handlers := map[client.Object]toolscache.ResourceEventHandlerFuncs{
		&sourcev1.GitRepository{}:    {AddFunc: m.source, UpdateFunc: func(_, now any) { m.source(now) }, DeleteFunc: gone(m, m.sources)},
		&kustomizev1.Kustomization{}: {AddFunc: m.kustomization, UpdateFunc: func(_, now any) { m.kustomization(now) }, DeleteFunc: gone(m, m.referred)},
		&v1alpha1.Application{}:      {AddFunc: m.application, UpdateFunc: func(_, now any) { m.application(now) }},
	}
	for object, handler := range handlers {
		informer, err := watched.GetInformer(ctx, object)
		if err != nil {
			return nil, fmt.Errorf("watching %T: %w", object, err)
		}
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, fmt.Errorf("watching %T: %w", object, err)
		}
	}
	go func() { _ = watched.Start(ctx) }() // it ends with the context
	if !watched.WaitForCacheSync(ctx) {
		return nil, fmt.Errorf("watching: %w", ctx.Err())
	}
	return m, nil
}

// note keeps the first time of something.
func note[K comparable](at map[K]time.Time, key K) {
	if _, known := at[key]; !known {
		at[key] = time.Now()
	}
}

func (m *moments) source(object any) {
	git, is := object.(*sourcev1.GitRepository)
	if !is || git.Labels[v1alpha1.InstanceLabel] == "" || git.Spec.Reference == nil {
		return
	}
	from := origin{git.Namespace, git.Spec.URL, git.Spec.Reference.Commit}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sources[client.ObjectKeyFromObject(git)] = from
	note(m.written, from)
	if git.Status.Artifact != nil && strings.HasSuffix(git.Status.Artifact.Revision, from.commit) {
		note(m.ready, from)
	}
}

// gone forgets what was noted of an object that is deleted.
func gone[V any](m *moments, noted map[client.ObjectKey]V) func(object any) {
	return func(object any) {
		if last, is := object.(toolscache.DeletedFinalStateUnknown); is {
			object = last.Obj
		}
		if deleted, is := object.(client.Object); is {
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(noted, client.ObjectKeyFromObject(deleted))
		}
	}
}

func (m *moments) kustomization(object any) {
	k, is := object.(*kustomizev1.Kustomization)
	if !is {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if apimeta.IsStatusConditionTrue(k.Status.Conditions, meta.ReadyCondition) {
		note(m.healthy, client.ObjectKeyFromObject(k))
	}
	if k.Labels[v1alpha1.InstanceLabel] == "" {
		return
	}
	here := place{k.Namespace, k.Labels[v1alpha1.ApplicationLabel], v1alpha1.EnvironmentName(k.Labels[v1alpha1.EnvironmentLabel]), ""}
	name := client.ObjectKey{Namespace: k.Namespace, Name: k.Spec.SourceRef.Name}
	m.referred[client.ObjectKeyFromObject(k)] = name
	here.commit = k.Annotations[commitAnnotation]
	note(m.flipped, here)
	if apimeta.IsStatusConditionTrue(k.Status.Conditions, meta.ReadyCondition) && k.Status.ObservedGeneration == k.Generation &&
		strings.HasSuffix(k.Status.LastAppliedRevision, here.commit) {
		note(m.applied, here)
	}
}

func (m *moments) application(object any) {
	app, is := object.(*v1alpha1.Application)
	if !is {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range app.Status.Environments {
		state := &app.Status.Environments[i]
		if state.Current != nil && state.Current.Healthy == metav1.ConditionTrue && state.Phase == v1alpha1.EnvironmentIdle {
			note(m.current, place{app.Namespace, app.Name, state.Name, state.Current.Commit})
		}
	}
}

// of reads one of the times under the lock.
func of[K comparable](m *moments, at map[K]time.Time, key K) (time.Time, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	when, known := at[key]
	return when, known
}

// missing counts the keys that have not been seen yet.
func missing[K comparable](m *moments, at map[K]time.Time, keys []K) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	count := 0
	for _, key := range keys {
		if _, known := at[key]; !known {
			count++
		}
	}
	return count
}

// last is when the last of the keys was seen, all of which must have been.
func last[K comparable](m *moments, at map[K]time.Time, keys []K) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	var latest time.Time
	for _, key := range keys {
		if when := at[key]; when.After(latest) {
			latest = when
		}
	}
	return latest
}

// unused counts the sources that no Kustomization names.
func (m *moments) unused() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	named := map[client.ObjectKey]bool{}
	for _, source := range m.referred {
		named[source] = true
	}
	count := 0
	for key := range m.sources {
		if !named[key] {
			count++
		}
	}
	return count
}

// legs are the parts of the way from a push to what people see, of each Application.
//
// write is from the delivery until the source is written, fetch until Flux has fetched it, flip until the Kustomization asks for
// it, apply until Flux reports it as healthy, status until the Application's status says so, whole from the first to the last.
type legs struct{ write, fetch, flip, apply, status, whole []time.Duration }

// legs reads them for the commit that develop is at.
func (w *world) legs(b *testing.B, apps []*app) legs {
	b.Helper()
	var l legs
	for _, a := range apps {
		source, here := w.origin(a, w.commitAt(a)), a.place(develop, w.commitAt(a))
		delivered, was := w.relay.delivered(push{a.fullName, w.commitAt(a)})
		written, made := of(w.moments, w.moments.written, source)
		ready, fetched := of(w.moments, w.moments.ready, source)
		flipped, asked := of(w.moments, w.moments.flipped, here)
		healthy, applied := of(w.moments, w.moments.applied, here)
		told, current := of(w.moments, w.moments.current, here)
		if !was || !made || !fetched || !asked || !applied || !current {
			b.Fatalf("Application %s was not seen on its whole way", a.name)
		}
		l.write, l.fetch = append(l.write, written.Sub(delivered)), append(l.fetch, ready.Sub(written))
		l.flip, l.apply = append(l.flip, flipped.Sub(ready)), append(l.apply, healthy.Sub(flipped))
		l.status, l.whole = append(l.status, told.Sub(healthy)), append(l.whole, told.Sub(delivered))
	}
	return l
}
