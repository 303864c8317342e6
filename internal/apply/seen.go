// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package apply

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// maxComparisons bounds how many objects are remembered. One that was pushed out is compared in full again.
const maxComparisons = 32768

// comparison is one object as it was desired, and the version of the live one that it was compared with. Where both are the same
// again, so is what came of it.
type comparison struct {
	object  object
	desired [sha256.Size]byte
	uid     types.UID
	version string
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

// unchanged says that this very comparison found the object as desired. Where there is no live object, there is nothing to say.
func (c *comparisons) unchanged(now comparison) bool {
	if now.version == "" {
		return false
	}
	last, known := c.cache().Get(now.object)
	return known && last == now
}

func (c *comparisons) remember(now comparison) {
	if now.version != "" {
		c.cache().Add(now.object, now)
	}
}
