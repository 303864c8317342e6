// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package environment

import (
	"context"
	"fmt"
	"sync"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/index"
)

// tallyInterval is how often the Applications of one Environment are counted at most, and so how often the count is written. A
// thousand Applications that change in the same second cost one write.
const tallyInterval = 5 * time.Second

// standing is what one Application adds to the count of one Environment.
type standing struct {
	healthy, blocked bool
}

// standings gives what an Application adds to each Environment that it lists.
func standings(application *mainstemv1.Application) map[string]standing {
	states := make(map[mainstemv1.EnvironmentName]*mainstemv1.EnvironmentState, len(application.Status.Environments))
	for i := range application.Status.Environments {
		states[application.Status.Environments[i].Name] = &application.Status.Environments[i]
	}
	result := make(map[string]standing, len(application.Spec.Environments))
	for i := range application.Spec.Environments {
		name := application.Spec.Environments[i].Name
		result[string(name)] = standingOf(states[name])
	}
	return result
}

// standingOf reads one environment of an Application's status; nil means that there is none yet.
func standingOf(state *mainstemv1.EnvironmentState) standing {
	if state == nil {
		return standing{}
	}
	refused := apimeta.IsStatusConditionFalse(state.Conditions, mainstemv1.AcceptedCondition)
	return standing{
		healthy: state.Current != nil && state.Current.Healthy == metav1.ConditionTrue,
		blocked: refused || state.Phase == mainstemv1.EnvironmentFailed,
	}
}

// tally counts the Applications that list an Environment.
func (r *Reconciler) tally(ctx context.Context, environment string) (mainstemv1.ApplicationCount, error) {
	var applications mainstemv1.ApplicationList
	if err := r.Client.List(ctx, &applications, client.MatchingFields{index.ApplicationsByEnvironment: environment}, client.UnsafeDisableDeepCopy); err != nil {
		return mainstemv1.ApplicationCount{}, fmt.Errorf("listing the Applications of Environment %s: %w", environment, err)
	}
	var count mainstemv1.ApplicationCount
	for i := range applications.Items {
		stands := standings(&applications.Items[i])[environment]
		count.Total++
		if stands.healthy {
			count.Healthy++
		}
		if stands.blocked {
			count.Blocked++
		}
	}
	return count, nil
}

// tallies remembers when each Environment was counted last. A restart forgets it, which costs at most one write more.
type tallies struct {
	mutex sync.Mutex
	last  map[string]time.Time
}

// wait is how long to wait until the Environment may be counted again; 0 or less means now.
func (t *tallies) wait(environment string, now time.Time) time.Duration {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	last, counted := t.last[environment]
	if !counted || last.After(now) {
		// A clock that was set back must not stop the counting.
		return 0
	}
	return last.Add(tallyInterval).Sub(now)
}

func (t *tallies) done(environment string, now time.Time) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.last == nil {
		t.last = map[string]time.Time{}
	}
	t.last[environment] = now
}

func (t *tallies) forget(environment string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	delete(t.last, environment)
}
