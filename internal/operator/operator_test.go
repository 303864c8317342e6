// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package operator

import (
	"testing"
	"time"

	"k8s.io/client-go/tools/leaderelection"
)

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
