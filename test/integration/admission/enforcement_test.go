// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package admission

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// enforcementTimeout bounds how long the API server may take to enforce a policy that was created; it takes about half a
// second.
const enforcementTimeout = 30 * time.Second

// probes are requests that each policy refuses, and that change nothing while it does not yet.
var probes = map[string]attempt{
	"approvals.mainstem.dev":    creating(approval),
	"flux-objects.mainstem.dev": creating(kustomization),
	"flux-status.mainstem.dev":  statusOf(kustomization),
	"holds.mainstem.dev":        creating(hold),
	"promotions.mainstem.dev":   creating(promotion),
	"releases.mainstem.dev":     creating(release),
	"status.mainstem.dev":       statusOf(environment),
}

// statusOf writes the status of an object, which is made at the first call by whoever makes such objects.
func statusOf[T client.Object](build func() T) attempt {
	var made *T
	return func(ctx context.Context, as client.Client) error {
		if made == nil {
			object, err := existing(ctx, build)
			if err != nil {
				return err
			}
			made = &object
		}
		return as.Status().Patch(ctx, *made, client.RawPatch("application/merge-patch+json", []byte(`{"status":{"observedGeneration":1}}`)))
	}
}

// awaitPolicies waits until every policy refuses its probe, also to a superuser.
func awaitPolicies(ctx context.Context) error {
	asker, err := superuser.client()
	if err != nil {
		return err
	}
	var policies admissionregistrationv1.ValidatingAdmissionPolicyList
	if err := asker.List(ctx, &policies); err != nil {
		return fmt.Errorf("listing the policies: %w", err)
	}
	for i := range policies.Items {
		name := policies.Items[i].Name
		probe, ok := probes[name]
		if !ok {
			return fmt.Errorf("the policy %s has no probe that says when it is enforced: add one", name)
		}
		var last error
		err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, enforcementTimeout, true, func(ctx context.Context) (bool, error) {
			last = probe(ctx, client.NewDryRunClient(asker))
			return last != nil && strings.Contains(last.Error(), "ValidatingAdmissionPolicy '"+name+"'"), nil
		})
		if err != nil {
			return fmt.Errorf("waiting for the policy %s to refuse its probe: %w", name, errors.Join(err, last))
		}
	}
	return nil
}
