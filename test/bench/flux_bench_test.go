// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package bench

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/internal/render"
)

// BenchmarkRealFlux pushes to many repositories at once, and lets real Flux fetch and apply. What is deployed is as small as can
// be, so that Flux has as little to do as ever.
func BenchmarkRealFlux(b *testing.B) {
	s := readSettings(b)
	w := newWorld(b, plan{applications: s.flux, perNamespace: teamSize, appliers: realFlux})
	w.startOperator(b)
	w.awaitCurrent(b)
	w.settle(b)

	started := time.Now()
	for _, a := range w.apps {
		a.head++
		if err := w.pushTo(a, "develop", w.commitAt(a)); err != nil {
			b.Fatal(err)
		}
	}
	w.awaitCurrent(b)
	places := plainPlaces(w.apps, develop, w.commitAt)
	wave := last(w.moments, w.moments.applied, places).Sub(started).Seconds()

	legs := w.legs(b, w.apps)
	mainstem, whole := slices.Concat(legs.write, legs.flip), slices.Concat(legs.write, legs.fetch, legs.flip, legs.apply)
	const share = 10
	report(b, plain("Mainstem's share of push to healthy", float64(sum(mainstem))/float64(sum(whole))*100, "%").atMost(share))
	for _, leg := range []struct {
		name string
		took []time.Duration
	}{
		{"Mainstem, delivery to source written", legs.write}, {"Flux, source written to ready", legs.fetch},
		{"Mainstem, source ready to flipped", legs.flip}, {"Flux, flipped to healthy", legs.apply}, {"Mainstem, healthy to status", legs.status},
	} {
		report(b, plain(leg.name+" p50", percentile(leg.took, 50), "ms"))
		report(b, plain(leg.name+" p99", percentile(leg.took, 99), "ms"))
	}
	w.settle(b)
	baseline := w.fluxAlone(b)
	report(b, plain("the whole wave", wave, "s").against("Flux alone, as many new pairs", baseline.Seconds(), 1.1))
}

func sum(durations []time.Duration) time.Duration {
	var total time.Duration
	for _, d := range durations {
		total += d
	}
	return total
}

// fluxAlone lets Flux deploy the next commit of every repository, with the pairs of objects written by plain workers, and returns
// how long it took until all were healthy.
func (w *world) fluxAlone(b *testing.B) time.Duration {
	b.Helper()
	if err := w.rig.Kill(operatorName); err != nil {
		b.Fatal(err)
	}
	for _, a := range w.apps {
		a.head++
		if err := w.pushTo(a, "develop", w.commitAt(a)); err != nil {
			b.Fatal(err)
		}
	}
	started := time.Now()
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(workers)
	for _, a := range w.apps {
		group.Go(func() error { return w.createPair(ctx, a) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	pairs := make([]client.ObjectKey, 0, len(w.apps))
	for _, a := range w.apps {
		pairs = append(pairs, client.ObjectKey{Namespace: a.namespace, Name: aloneName(a)})
	}
	w.await(b, "Flux is at it", func() bool { return missing(w.moments, w.moments.healthy, pairs) == 0 })
	return last(w.moments, w.moments.healthy, pairs).Sub(started)
}

// aloneName is what fluxAlone calls its objects.
func aloneName(a *app) string { return "alone-" + a.name }

// createPair creates what the operator would, for the commit that develop is at.
func (w *world) createPair(ctx context.Context, a *app) error {
	var kustomization kustomizev1.Kustomization
	var source sourcev1.GitRepository
	key := client.ObjectKey{Namespace: a.namespace, Name: render.KustomizationName(a.name, develop)}
	if err := w.client.Get(ctx, key, &kustomization); err != nil {
		return fmt.Errorf("reading what the operator made: %w", err)
	}
	if err := w.client.Get(ctx, client.ObjectKey{Namespace: a.namespace, Name: kustomization.Spec.SourceRef.Name}, &source); err != nil {
		return fmt.Errorf("reading what the operator made: %w", err)
	}
	name := metav1.ObjectMeta{Namespace: a.namespace, Name: aloneName(a)}
	newSource := &sourcev1.GitRepository{ObjectMeta: name, Spec: *source.Spec.DeepCopy()}
	newSource.Spec.Reference.Commit = w.commitAt(a)
	newKustomization := &kustomizev1.Kustomization{ObjectMeta: name, Spec: *kustomization.Spec.DeepCopy()}
	newKustomization.Spec.SourceRef.Name = name.Name
	newKustomization.Spec.PostBuild.Substitute = map[string]string{"name": name.Name}
	for _, object := range []client.Object{newSource, newKustomization} {
		if err := w.client.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %T %s: %w", object, name.Name, err)
		}
	}
	return nil
}
