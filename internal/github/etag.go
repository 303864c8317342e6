// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	maxETagEntries = 8192
	// maxETagBody leaves out answers that are too large to keep: they are asked for in full each time.
	maxETagBody = 1 << 20
	// maxETagBytes bounds all bodies together.
	maxETagBytes = 64 << 20
)

// keptHeaders are those of an answer that its reader needs; a 304 brings the rest anew.
var keptHeaders = []string{"Content-Type", "Link"}

// unchanging are the routes whose answers are the same for ever: commits and what lies between two of them, which are only ever
// asked for by full SHAs. Who needs one keeps what it reads from it ([forever]), and nobody asks again.
var unchanging = map[string]bool{
	"GET /repos/{owner}/{repo}/git/commits/{commit_sha}": true,
	"GET /repos/{owner}/{repo}/compare/{basehead}":       true,
}

// etagCache keeps answers together with their ETag, so that asking again costs nothing of the primary limit (304). It
// never answers by itself: GitHub is asked each time, whatever Cache-Control allows. Keys hold the token's fingerprint,
// because GitHub's ETags belong to the token.
type etagCache struct {
	mu    sync.Mutex
	lru   *simplelru.LRU[string, etagEntry]
	bytes int
}

type etagEntry struct {
	etag   string
	header http.Header
	body   []byte
}

func newETagCache() *etagCache {
	cache := &etagCache{}
	// NewLRU fails only for a size that is not positive.
	cache.lru, _ = simplelru.NewLRU(maxETagEntries, func(_ string, evicted etagEntry) { cache.bytes -= len(evicted.body) })
	return cache
}

// get gives the entry for a key.
func (c *etagCache) get(key string) (etagEntry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lru.Get(key)
}

// put keeps an answer that has an ETag, is whole and is not too large; any other drops what was kept for the key. Half an
// answer that is kept would be confirmed by a 304 for ever.
func (c *etagCache) put(key string, header http.Header, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lru.Remove(key)
	etag := header.Get("Etag")
	if etag == "" || len(body) > maxETagBody || !json.Valid(body) {
		return
	}
	kept := http.Header{}
	for _, name := range keptHeaders {
		if values := header.Values(name); len(values) > 0 {
			kept[name] = values
		}
	}
	// What was read into may be twice as large as what was read.
	c.lru.Add(key, etagEntry{etag: etag, header: kept, body: bytes.Clone(body)})
	c.bytes += len(body)
	for c.bytes > maxETagBytes {
		c.lru.RemoveOldest()
	}
}

// restore turns a 304 into the answer that it confirms: the kept body and headers, under the fresh rate figures.
func (e etagEntry) restore(notModified *http.Response) *http.Response {
	resp := *notModified
	resp.StatusCode = http.StatusOK
	resp.Status = "200 OK"
	resp.Header = e.header.Clone()
	for name, values := range notModified.Header {
		resp.Header[name] = values
	}
	resp.Body = io.NopCloser(bytes.NewReader(e.body))
	resp.ContentLength = int64(len(e.body))
	return &resp
}
