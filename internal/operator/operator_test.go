// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package operator

import (
	"testing"
	"time"

	"k8s.io/client-go/tools/leaderelection"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestWhatFailsForLongIsStillTriedEveryHalfMinute(t *testing.T) {
	limiter, request := retries(), reconcile.Request{}
	if first := limiter.When(request); first > time.Second {
		t.Errorf("the first retry comes after %s", first)
	}
	for range 30 {
		if pause := limiter.When(request); pause > 30*time.Second {
			t.Fatalf("a retry comes after %s", pause)
		}
	}
}

func TestALeaderGivesUpBeforeAnotherOneTakesOver(t *testing.T) {
	for _, duration := range []time.Duration{time.Second, 15 * time.Second, 10 * time.Minute} {
		lease, renew, retry := leaseTimes(duration)
		if lease != duration {
			t.Errorf("%s: the lease lasts %s", duration, lease)
		}
		if renew >= lease {
			t.Errorf("%s: a leader renews until %s, and others take over after %s", duration, renew, lease)
		}
		if jittered := time.Duration(leaderelection.JitterFactor * float64(retry)); renew <= 3*jittered {
			t.Errorf("%s: a leader tries every %s until %s, fewer than three times", duration, jittered, renew)
		}
	}
}
