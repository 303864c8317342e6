// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"context"
	"strconv"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
)

const (
	maxMemories = 32768
	// flightTimeout bounds one shared question, which may take several requests.
	flightTimeout = 2 * time.Minute
)

// memory keeps answers that several ask for, for as long as each of them allows, and lets those who ask at the same
// time share one question. Invalidating a repository makes every answer about it old, for every credential, also those
// that are on their way.
type memory struct {
	now     func() time.Time
	entries *lru.Cache[string, memoryEntry]
	flights singleflight.Group

	mu          sync.Mutex
	generation  uint64
	invalidated *lru.Cache[string, uint64]
}

type memoryEntry struct {
	value      any
	fetchedAt  time.Time
	generation uint64
}

// question is what is asked: about which repository, under which key, and how old an answer may be. A MaxAge of 0 asks
// anew.
type question struct {
	repository string
	key        string
	maxAge     time.Duration
}

func newMemory(now func() time.Time) *memory {
	m := &memory{now: now}
	// New fails only for a size that is not positive.
	m.entries, _ = lru.New[string, memoryEntry](maxMemories)
	m.invalidated, _ = lru.New[string, uint64](maxMemories)
	return m
}

// invalidate makes every answer about a repository old.
func (m *memory) invalidate(repository string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.generation++
	m.invalidated.Add(repository, m.generation)
}

// since gives the generation that an answer about the repository has to be of, and the current one.
func (m *memory) since(repository string) (needed, current uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	needed, _ = m.invalidated.Get(repository)
	return needed, m.generation
}

// fresh gives the answer that is remembered, if it is young enough and of the generation that is needed.
func (m *memory) fresh(q question, needed uint64) (memoryEntry, bool) {
	entry, ok := m.entries.Get(q.key)
	return entry, ok && entry.generation >= needed && m.now().Sub(entry.fetchedAt) < q.maxAge
}

// recall gives the answer to a question and when it was fetched: from memory when it is young enough, else by fetch.
func recall[T any](ctx context.Context, m *memory, q question, fetch func(context.Context) (T, error)) (T, time.Time, error) {
	needed, current := m.since(q.repository)
	entry, ok := m.fresh(q, needed)
	if value, is := entry.value.(T); ok && is {
		return value, entry.fetchedAt, nil
	}
	// The generation is in the key, so that who asks after an invalidation does not get an answer from before it.
	entry, err := share(ctx, &m.flights, strconv.FormatUint(needed, 10)+" "+q.key, func(ctx context.Context) (memoryEntry, error) {
		// Another flight may have landed since we looked.
		if landed, ok := m.fresh(q, needed); ok {
			return landed, nil
		}
		entry := memoryEntry{fetchedAt: m.now(), generation: current}
		value, err := fetch(ctx)
		if err != nil {
			return memoryEntry{}, err
		}
		entry.value = value
		m.entries.Add(q.key, entry)
		return entry, nil
	})
	value, _ := entry.value.(T)
	return value, entry.fetchedAt, err
}

// keep gives what never changes: from the cache, or by fetch, once for all who ask at the same time.
func keep[T any](ctx context.Context, cache *forever[T], key string, fetch func(context.Context) (T, error)) (T, error) {
	if value, ok := cache.entries.Get(key); ok {
		return value, nil
	}
	return share(ctx, &cache.flights, key, func(ctx context.Context) (T, error) {
		// Another flight may have landed since we looked.
		if value, ok := cache.entries.Get(key); ok {
			return value, nil
		}
		value, err := fetch(ctx)
		if err == nil {
			cache.entries.Add(key, value)
		}
		return value, err
	})
}

// forever keeps things that never change, the most used ones of them.
type forever[T any] struct {
	entries *lru.Cache[string, T]
	flights singleflight.Group
}

func newForever[T any](size int) *forever[T] {
	// New fails only for a size that is not positive.
	entries, _ := lru.New[string, T](size)
	return &forever[T]{entries: entries}
}

// share lets those who ask for the same at the same time share one question. It belongs to nobody: one caller's end is
// not everybody's.
func share[T any](ctx context.Context, flights *singleflight.Group, key string, fetch func(context.Context) (T, error)) (T, error) {
	flight := flights.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightTimeout)
		defer cancel()
		return fetch(ctx)
	})
	select {
	case result := <-flight:
		value, _ := result.Val.(T)
		return value, result.Err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
