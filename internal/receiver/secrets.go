// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"bytes"
	"context"
	"crypto/subtle"
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

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/github"
)

// webhookSecretKey is the key of the Secret that an Application's spec.repository.secretRef names.
const webhookSecretKey = "webhookSecret"

const (
	// secretLife is how long a secret that verifies is used without reading it again.
	secretLife = time.Minute
	// secretGrace is how long a secret is used that cannot be read again because the API server does not answer. A delivery is a
	// hint, and one more look at GitHub the worst that a secret does which is not valid any more.
	secretGrace = time.Hour
	// secretPause is how long a secret that does not verify is not read again. Forged deliveries so cost at most one read in
	// that time, and a secret that was changed is used after it.
	secretPause = 5 * time.Second
	// secretsHeld bounds how many are held.
	secretsHeld = 1024
	// secretReads bounds how many are read at once for one delivery.
	secretReads = 8
)

// Secrets verifies signatures with webhook secrets, which are read by name when they are needed. A secret never leaves it.
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

// users are Applications by the Secret that they use.
type users map[types.NamespacedName][]types.NamespacedName

// secretOf names the Secret that an Application uses, if any.
func secretOf(application *mainstemv1.Application) (types.NamespacedName, bool) {
	ref := application.Spec.Repository.SecretRef
	if ref == nil {
		return types.NamespacedName{}, false
	}
	return types.NamespacedName{Namespace: application.Namespace, Name: ref.Name}, true
}

func usersOf(applications []mainstemv1.Application) users {
	result := users{}
	for i := range applications {
		if secret, uses := secretOf(&applications[i]); uses {
			result[secret] = append(result[secret], client.ObjectKeyFromObject(&applications[i]))
		}
	}
	return result
}

// signers gives those of the used Secrets that made the signature. The error is about Secrets that could not be read.
func (s *Secrets) signers(ctx context.Context, used users, body []byte, signature string) ([]types.NamespacedName, error) {
	return s.those(ctx, used, func(value []byte) bool { return github.VerifySignature(value, body, signature) == nil })
}

// sameAs gives those of the used Secrets that hold the same webhook secret as another one. The error is about Secrets that could
// not be read.
func (s *Secrets) sameAs(ctx context.Context, other types.NamespacedName, used users) ([]types.NamespacedName, error) {
	if len(used) == 0 {
		return nil, nil
	}
	wanted, err := s.current(ctx, other)
	if err != nil || len(wanted) == 0 {
		return nil, err
	}
	return s.those(ctx, used, func(value []byte) bool { return subtle.ConstantTimeCompare(value, wanted) == 1 })
}

// those gives the Secrets that fit.
func (s *Secrets) those(ctx context.Context, used users, fits func([]byte) bool) ([]types.NamespacedName, error) {
	var (
		mutex  sync.Mutex
		found  []types.NamespacedName
		failed error
		group  errgroup.Group
	)
	group.SetLimit(secretReads)
	for name := range used {
		group.Go(func() error {
			is, err := s.holds(ctx, name, fits)
			mutex.Lock()
			defer mutex.Unlock()
			if is {
				found = append(found, name)
			}
			failed = errors.Join(failed, err)
			return nil
		})
	}
	_ = group.Wait() // its functions return no errors
	return found, failed
}

// holds says whether a Secret's webhookSecret fits.
func (s *Secrets) holds(ctx context.Context, name types.NamespacedName, fits func([]byte) bool) (bool, error) {
	held, known := s.held.Get(name)
	age := s.now().Sub(held.readAt)
	if known && age < secretLife && fits(held.value) {
		return true, nil
	}
	if known && age < secretPause {
		return false, nil
	}
	value, err := s.read(ctx, name)
	if err != nil {
		if known && lenient(err, age) && fits(held.value) {
			return true, nil
		}
		return false, err
	}
	return fits(value), nil
}

// current gives a Secret's webhookSecret, at most secretPause old.
func (s *Secrets) current(ctx context.Context, name types.NamespacedName) ([]byte, error) {
	held, known := s.held.Get(name)
	age := s.now().Sub(held.readAt)
	if known && age < secretPause {
		return held.value, nil
	}
	value, err := s.read(ctx, name)
	if err != nil && known && lenient(err, age) {
		return held.value, nil
	}
	return value, err
}

// lenient says whether a secret of this age is used although it could not be read again.
func lenient(err error, age time.Duration) bool {
	return age < secretGrace && !apierrors.IsForbidden(err)
}

// read gives the webhookSecret of a Secret, and nothing where there is none, and holds it. A line end at its end is left out:
// editors and shells put it there, and GitHub's form cannot.
func (s *Secrets) read(ctx context.Context, name types.NamespacedName) ([]byte, error) {
	var secret corev1.Secret
	err := s.reader.Get(ctx, name, &secret)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading Secret %s: %w", name, err)
	}
	value := bytes.TrimRight(secret.Data[webhookSecretKey], "\r\n")
	s.held.Add(name, heldSecret{value: value, readAt: s.now()})
	return value, nil
}
