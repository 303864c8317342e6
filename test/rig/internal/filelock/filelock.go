// Package filelock lets processes of one machine take turns: one lock is one
// file, held by at most one process, and released by the kernel when its holder
// dies.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// pollInterval is how often a waiting Acquire asks again: the kernel's own wait
// cannot be ended by a context.
const pollInterval = 200 * time.Millisecond

// ErrUnavailable says that another process, or another Lock of this one, holds the lock.
var ErrUnavailable = errors.New("the lock is held")

// Lock is a held lock. It must be released.
type Lock struct {
	file *os.File
}

// Acquire takes the lock of the file at path, which is made when there is none,
// and waits for its holder until ctx ends. It calls waiting once before it waits.
func Acquire(ctx context.Context, path string, waiting func()) (*Lock, error) {
	lock, err := TryAcquire(path)
	if !errors.Is(err, ErrUnavailable) {
		return lock, err
	}
	waiting()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the lock %s: %w", path, ctx.Err())
		case <-ticker.C:
		}
		lock, err = TryAcquire(path)
		if !errors.Is(err, ErrUnavailable) {
			return lock, err
		}
	}
}

// TryAcquire takes the lock of the file at path, or fails at once with
// ErrUnavailable when it is held.
func TryAcquire(path string) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("making the directory of the lock: %w", err)
	}
	file, err := os.OpenFile(filepath.Clean(path), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}
	if err := tryLock(file); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), file.Close())
	}
	return &Lock{file: file}, nil
}

// Release gives the lock back. The file stays: removing it would let two
// processes hold locks of two files of the same name.
func (l *Lock) Release() error {
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("releasing the lock %s: %w", l.file.Name(), err)
	}
	return nil
}
