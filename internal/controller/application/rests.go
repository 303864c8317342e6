// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package application

import (
	"context"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/observe"
)

// After so many looks at GitHub that found nothing new, or so long, everything is observed and decided anew: Secrets and ServiceAccounts
// are not watched, and what nobody thought of shows then.
const (
	looksAtRest = 12
	longestRest = time.Hour
)

// rests are the Applications with which nothing is to be done until something changes. Of them, a look asks GitHub whether the branches
// and releases are as they were, and no more: that is all that most reconciliations of most Applications have to find out. What is
// watched ends the rest of the Applications that it may concern. The zero value has none.
type rests struct {
	mu sync.Mutex
	of map[types.NamespacedName]*rest
}

// rest is what an Application rests on.
type rest struct {
	// settled says that a reconciliation has ended in it.
	settled bool
	// version is the Application's resource version, and look what was seen of its repository.
	version string
	look    *observe.Look
	// until is when time alone may change a decision; zero where it does not.
	until time.Time
	// since is when it began, and looks how many looks it lasts.
	since time.Time
	looks int
}

// isOver says that an Application is to be reconciled.
func (on *rest) isOver(app *v1alpha1.Application, now time.Time) bool {
	return on.looks == 0 || now.Sub(on.since) >= longestRest || on.version != app.ResourceVersion || (!on.until.IsZero() && !now.Before(on.until))
}

// begin notes that an Application is reconciled. What is watched from here on keeps it from coming to rest.
func (r *rests) begin(key types.NamespacedName) *rest {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = map[types.NamespacedName]*rest{}
	}
	begun := &rest{}
	r.of[key] = begun
	return begun
}

// settle lets an Application rest, unless something has changed since its reconciliation began.
func (r *rests) settle(key types.NamespacedName, begun *rest, as rest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of[key] == begun {
		as.settled = true
		*begun = as
	}
}

// end ends the rest of an Application.
func (r *rests) end(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of, key)
}

// current is what an Application rests on, or nil.
func (r *rests) current(key types.NamespacedName) *rest {
	r.mu.Lock()
	defer r.mu.Unlock()
	if found := r.of[key]; found != nil && found.settled {
		return found
	}
	return nil
}

// waking wakes the Applications that an object may concern.
func (r *Reconciler) waking(concerned handler.MapFunc) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, object client.Object) []reconcile.Request {
		requests := concerned(ctx, object)
		for _, request := range requests {
			r.rests.end(request.NamespacedName)
		}
		return requests
	})
}

// stillRests says whether there is nothing to be done with an Application, and when it is to be looked at again.
func (r *Reconciler) stillRests(ctx context.Context, app *v1alpha1.Application) (result ctrl.Result, resting bool) {
	on := r.rests.current(client.ObjectKeyFromObject(app))
	if on == nil || on.isOver(app, r.Now()) {
		return ctrl.Result{}, false
	}
	again, same := r.Observer.SameAs(ctx, on.look)
	if !same {
		return ctrl.Result{}, false
	}
	on.looks--
	if !on.until.IsZero() && on.until.Before(again) {
		return ctrl.Result{RequeueAfter: r.in(on.until), Priority: new(0)}, true
	}
	// The looks of many Applications may come at once. What has changed goes first.
	return ctrl.Result{RequeueAfter: r.in(again), Priority: new(handler.LowPriority)}, true
}

// settle lets the Application rest if nothing is on its way in any environment, nor waits, and nothing that GitHub was asked may have
// another answer at the next look. Those that share a repository tell GitHub together how it is, and look at each other for that.
func (c *carrier) settle(status v1alpha1.ApplicationStatus) {
	look := c.observation.Look()
	if look == nil || len(c.state.Peers) > 0 || !idle(status) {
		return
	}
	app := c.state.Application
	c.rests.settle(c.key(), c.begun, rest{version: app.ResourceVersion, look: look, until: c.again, since: c.state.Now, looks: spread(app.UID)})
}

// idle says that every environment runs what it is to run.
func idle(status v1alpha1.ApplicationStatus) bool {
	return !slices.ContainsFunc(status.Environments, func(e v1alpha1.EnvironmentState) bool { return e.Phase != v1alpha1.EnvironmentIdle })
}

// spread is for how many looks a rest lasts: not the same for all, or all that came to rest when the operator started would wake together
// for ever after.
func spread(uid types.UID) int {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(uid))
	return looksAtRest/2 + int(hash.Sum32()%(looksAtRest/2+1))
}
