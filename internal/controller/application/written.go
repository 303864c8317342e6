// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package application

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

const (
	// catchUp is when an Application is looked at again whose cached object is older than what was written: a watch brings it within
	// milliseconds.
	catchUp = 20 * time.Millisecond
	// maxLag is how long a cache is waited for. One that is still behind by then is broken, or the API server counts anew, as after
	// a restore from a backup.
	maxLag = 10 * time.Second
)

// written remembers, for each Application, the version that this process wrote last. What begins with an older one, because its own
// Releases and Promotions woke it sooner, decides on what it has reported before, and its own report is refused. The zero value
// remembers nothing.
type written struct {
	mutex    sync.Mutex
	versions map[types.NamespacedName]version
}

type version struct {
	resource string
	at       time.Time
}

func keyOf(app *v1alpha1.Application) types.NamespacedName {
	return types.NamespacedName{Namespace: app.Namespace, Name: app.Name}
}

// remember notes the version of an Application that was written.
func (w *written) remember(app *v1alpha1.Application, now time.Time) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.versions == nil {
		w.versions = map[types.NamespacedName]version{}
	}
	w.versions[keyOf(app)] = version{resource: app.ResourceVersion, at: now}
}

// forget lets go of an Application that is gone.
func (w *written) forget(key types.NamespacedName) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	delete(w.versions, key)
}

// ahead says whether something newer than this was written, which the cache has yet to see.
func (w *written) ahead(app *v1alpha1.Application, now time.Time) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	last, known := w.versions[keyOf(app)]
	if !known {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(app.ResourceVersion, last.resource)
	if err == nil && order < 0 && now.Sub(last.at) < maxLag {
		return true
	}
	delete(w.versions, keyOf(app)) // It has been seen.
	return false
}
