// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package application

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/internal/apply"
)

const (
	// catchUp is when an Application is looked at again while the cache is older than what was written: a watch brings it within
	// milliseconds.
	catchUp = 20 * time.Millisecond
	// maxWritten bounds how many objects are remembered that the cache has yet to see.
	maxWritten = 16384
)

// written remembers, for each Application and Promotion, the version that this process wrote last. What begins with an older one,
// because something else woke it sooner, decides on what was so before, and does it again or undoes it. The zero value remembers
// nothing.
type written struct {
	once     sync.Once
	versions *lru.Cache[types.UID, version]
}

// version is a version of an object, and when it was written.
type version struct {
	name string
	at   time.Time
}

func (w *written) cache() *lru.Cache[types.UID, version] {
	// New fails only for a size that is not positive.
	w.once.Do(func() { w.versions, _ = lru.New[types.UID, version](maxWritten) })
	return w.versions
}

// remember notes the version of an object that was written.
func (w *written) remember(object client.Object) {
	w.cache().Add(object.GetUID(), version{object.GetResourceVersion(), time.Now()})
}

// ahead says whether a newer version of the object was written, which the cache has yet to see.
func (w *written) ahead(object client.Object) bool {
	last, known := w.cache().Get(object.GetUID())
	if !known {
		return false
	}
	if apply.Behind(object.GetResourceVersion(), last.name) && time.Since(last.at) < apply.MaxLag {
		return true
	}
	w.cache().Remove(object.GetUID()) // It has been seen, or never will be.
	return false
}
