// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package apply

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// maxComparisons bounds how many objects are remembered. One that was pushed out is compared in full again.
	maxComparisons = 32768
	// MaxLag is how long a cache is waited for that has yet to see what was written. One that is still behind by then is broken, or the
	// API server counts anew, as after a restore from a backup.
	MaxLag = 10 * time.Second
)

// comparison is one object as it was desired, and the version of the live one that it was compared with. Where both are the same
// again, so is what came of it.
type comparison struct {
	object  object
	desired [sha256.Size]byte
	uid     types.UID
	version string
	// writtenAt is when it was written so; zero where it was found so.
	writtenAt time.Time
}

type object struct {
	kind            schema.GroupKind
	namespace, name string
}

// compared is a comparison that is to be made; live may be nil.
func compared(desired client.Object, gvk schema.GroupVersionKind, live client.Object) (comparison, error) {
	data, err := json.Marshal(desired)
	if err != nil {
		return comparison{}, fmt.Errorf("encoding %s: %w", nameOf(gvk.Kind, desired), err)
	}
	result := comparison{object: object{gvk.GroupKind(), desired.GetNamespace(), desired.GetName()}, desired: sha256.Sum256(data)}
	if live != nil {
		result.uid, result.version = live.GetUID(), live.GetResourceVersion()
	}
	return result, nil
}

// comparisons remembers the last comparison of each object that found it as desired: to compare in full is most of the work of a
// reconciliation that has nothing to do. The zero value is empty.
type comparisons struct {
	once    sync.Once
	entries *lru.Cache[object, comparison]
}

func (c *comparisons) cache() *lru.Cache[object, comparison] {
	// New fails only for a size that is not positive.
	c.once.Do(func() { c.entries, _ = lru.New[object, comparison](maxComparisons) })
	return c.entries
}

// unchanged says that this very comparison found the object as desired, or that it was written so and the cache has yet to see it:
// after an outage of the API server, caches come back one after the other. Where there is no live object, there is nothing to say.
func (c *comparisons) unchanged(now comparison) bool {
	last, known := c.cache().Get(now.object)
	if !known || now.version == "" || last.desired != now.desired || last.uid != now.uid {
		return false
	}
	if last.version == now.version {
		return true
	}
	return Behind(now.version, last.version) && time.Since(last.writtenAt) < MaxLag
}

// Behind says that a cached resource version is older than one that was written. Of versions that are no numbers nothing is known.
func Behind(cached, written string) bool {
	order, err := resourceversion.CompareResourceVersion(cached, written)
	return err == nil && order < 0
}

// found remembers that a comparison found the object as desired.
func (c *comparisons) found(now comparison) {
	if now.version != "" {
		c.cache().Add(now.object, now)
	}
}

// wrote remembers that an object was written as desired, and is of this version since.
func (c *comparisons) wrote(now comparison, written client.Object) {
	now.uid, now.version, now.writtenAt = written.GetUID(), written.GetResourceVersion(), time.Now()
	c.found(now)
}
