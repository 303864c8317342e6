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

// recall gives the answer to a question and when it was fetched: from memory when it is young enough, else by fetch.
func recall[T any](ctx context.Context, m *memory, q question, fetch func(context.Context) (T, error)) (T, time.Time, error) {
	var none T
	needed, current := m.since(q.repository)
	if entry, ok := m.entries.Get(q.key); ok && entry.generation >= needed && m.now().Sub(entry.fetchedAt) < q.maxAge {
		if value, ok := entry.value.(T); ok {
			return value, entry.fetchedAt, nil
		}
	}
	// The generation is in the key, so that who asks after an invalidation does not get an answer from before it.
	flight := m.flights.DoChan(strconv.FormatUint(needed, 10)+" "+q.key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightTimeout)
		defer cancel()
		entry := memoryEntry{fetchedAt: m.now(), generation: current}
		value, err := fetch(ctx)
		if err != nil {
			return nil, err
		}
		entry.value = value
		m.entries.Add(q.key, entry)
		return entry, nil
	})
	select {
	case result := <-flight:
		if result.Err != nil {
			return none, time.Time{}, result.Err
		}
		entry, _ := result.Val.(memoryEntry)
		value, _ := entry.value.(T)
		return value, entry.fetchedAt, nil
	case <-ctx.Done():
		return none, time.Time{}, ctx.Err()
	}
}
