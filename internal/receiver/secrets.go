// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/internal/github"
)

// webhookSecretKey is the key of the Secret that an Application's spec.repository.secretRef names.
const webhookSecretKey = "webhookSecret"

const (
	// secretLife is how long a secret that verifies is used without reading it again.
	secretLife = time.Minute
	// secretPause is how long a secret that does not verify is not read again. Forged deliveries so cost at most one read in
	// that time, and a secret that was changed is used after it.
	secretPause = 5 * time.Second
	// secretsHeld bounds how many are held.
	secretsHeld = 1024
	// secretReads bounds how many are read at once for one delivery.
	secretReads = 8
)

// Secrets verifies signatures with webhook secrets, which are read by name when they are needed and held for a minute at most.
// A secret never leaves it.
type Secrets struct {
	reader client.Reader
	now    func() time.Time
	held   *lru.Cache[types.NamespacedName, heldSecret]
}

// heldSecret is a secret as it was read; empty where there was none.
type heldSecret struct {
	value  []byte
	readAt time.Time
}

// NewSecrets reads Secrets through reader, which must not be a cache: the operator neither lists nor watches Secrets. now is the
// clock.
func NewSecrets(reader client.Reader, now func() time.Time) (*Secrets, error) {
	held, err := lru.New[types.NamespacedName, heldSecret](secretsHeld)
	if err != nil {
		return nil, fmt.Errorf("making room for webhook secrets: %w", err)
	}
	return &Secrets{reader: reader, now: now, held: held}, nil
}

// signers gives those of the named Secrets (the keys of users) that made the signature. The error is about Secrets that could
// not be read.
func (s *Secrets) signers(ctx context.Context, users map[types.NamespacedName][]types.NamespacedName, body []byte, signature string) ([]types.NamespacedName, error) {
	var (
		mutex   sync.Mutex
		signers []types.NamespacedName
		failed  error
		group   errgroup.Group
	)
	group.SetLimit(secretReads)
	for name := range users {
		group.Go(func() error {
			made, err := s.signed(ctx, name, body, signature)
			mutex.Lock()
			defer mutex.Unlock()
			if made {
				signers = append(signers, name)
			}
			failed = errors.Join(failed, err)
			return nil
		})
	}
	_ = group.Wait() // its functions return no errors
	return signers, failed
}

// signed says whether a Secret's webhookSecret made the signature.
func (s *Secrets) signed(ctx context.Context, name types.NamespacedName, body []byte, signature string) (bool, error) {
	if held, ok := s.held.Get(name); ok {
		age := s.now().Sub(held.readAt)
		if age < secretLife && github.VerifySignature(held.value, body, signature) == nil {
			return true, nil
		}
		if age < secretPause {
			return false, nil
		}
	}
	value, err := s.read(ctx, name)
	if err != nil {
		return false, err
	}
	s.held.Add(name, heldSecret{value: value, readAt: s.now()})
	return github.VerifySignature(value, body, signature) == nil, nil
}

// read gives the webhookSecret of a Secret, and nothing where there is none. A line end at its end is left out: editors and
// shells put it there, and GitHub's form cannot.
func (s *Secrets) read(ctx context.Context, name types.NamespacedName) ([]byte, error) {
	var secret corev1.Secret
	if err := s.reader.Get(ctx, name, &secret); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading Secret %s: %w", name, err)
	}
	return bytes.TrimRight(secret.Data[webhookSecretKey], "\r\n"), nil
}
