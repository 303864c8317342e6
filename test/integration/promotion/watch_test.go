// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	"context"
	"strconv"
	"sync"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/kustomize"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// flip is a write that made a Kustomization refer to another source.
type flip struct {
	// version is the resource version of that write: all objects of a cluster count with one counter.
	version                    uint64
	source, substituted, image string
}

// fetch is the write with which a source first had an artifact.
type fetch struct {
	version uint64
	commit  string
}

// fluxRecord is what happened to the Flux objects of a namespace.
type fluxRecord struct {
	mutex   sync.Mutex
	flipped []flip
	sources map[string]fetch
}

// watchFlux records until the spec ends.
func watchFlux(ctx context.Context, c client.WithWatch, namespace string) *fluxRecord {
	GinkgoHelper()
	record := &fluxRecord{sources: map[string]fetch{}}
	for _, list := range []client.ObjectList{&kustomizev1.KustomizationList{}, &sourcev1.GitRepositoryList{}} {
		events, err := c.Watch(ctx, list, client.InNamespace(namespace))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(events.Stop)
		go func() {
			for event := range events.ResultChan() {
				record.add(event.Object)
			}
		}()
	}
	return record
}

func (r *fluxRecord) add(object any) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	switch object := object.(type) {
	case *kustomizev1.Kustomization:
		seen := flip{version: versionOf(object), source: object.Spec.SourceRef.Name}
		if object.Spec.PostBuild != nil {
			seen.substituted = object.Spec.PostBuild.Substitute["commit"]
		}
		for _, image := range object.Spec.Images {
			seen.image = image.NewTag
		}
		last := len(r.flipped) - 1
		if last < 0 || r.flipped[last].source != seen.source || r.flipped[last].image != seen.image || r.flipped[last].substituted != seen.substituted {
			r.flipped = append(r.flipped, seen)
		}
	case *sourcev1.GitRepository:
		if _, known := r.sources[object.Name]; !known && object.Status.Artifact != nil {
			revision := object.Status.Artifact.Revision
			r.sources[object.Name] = fetch{version: versionOf(object), commit: revision[len(revision)-40:]}
		}
	}
}

func versionOf(object client.Object) uint64 {
	version, _ := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
	return version
}

func (r *fluxRecord) flips() []flip {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.flipped
}

func (r *fluxRecord) fetched(source string) (fetch, bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	found, seen := r.sources[source]
	return found, seen
}

func kustomizeImage(name, tag string) kustomize.Image {
	return kustomize.Image{Name: name, NewTag: tag}
}
