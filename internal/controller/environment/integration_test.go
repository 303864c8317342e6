// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package environment

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/gomega"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/index"
	"github.com/mainstem-dev/mainstem/test/apiserver"
)

const (
	patience = 20 * time.Second
	glance   = 50 * time.Millisecond
)

// cluster is an API server with the controller running against it.
type cluster struct {
	*gomega.WithT
	client client.Client
	// writes counts the status patches that the controller sent, events what it recorded.
	writes, events atomic.Int64
}

func (c *cluster) Eventf(_, _ runtime.Object, _, _, _, _ string, _ ...any) { c.events.Add(1) }

func startCluster(t *testing.T) *cluster {
	t.Helper()
	config := apiserver.StartKinds(t)
	scheme := runtime.NewScheme()
	if err := mainstemv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := &cluster{WithT: gomega.NewWithT(t)}
	var err error
	if c.client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	c.startController(t, config, scheme)
	return c
}

// startController runs the reconciler in a manager whose client is counted, until the test ends.
func (c *cluster) startController(t *testing.T, config *rest.Config, scheme *runtime.Scheme) {
	t.Helper()
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Metrics: server.Options{BindAddress: "0"},
		NewClient: func(config *rest.Config, options client.Options) (client.Client, error) {
			inner, err := client.NewWithWatch(config, options)
			if err != nil {
				return nil, err
			}
			return interceptor.NewClient(inner, interceptor.Funcs{SubResourcePatch: func(ctx context.Context, to client.Client, sub string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
				c.writes.Add(1)
				return to.SubResource(sub).Patch(ctx, object, patch, options...)
			}}), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := index.Add(t.Context(), manager.GetFieldIndexer()); err != nil {
		t.Fatal(err)
	}
	if err := (&Reconciler{Client: manager.GetClient(), Recorder: c}).SetupWithManager(manager, controller.Options{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the manager: %v", err)
		}
	})
}

func (c *cluster) create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		c.Expect(c.client.Create(t.Context(), object)).To(gomega.Succeed())
	}
}

// ready polls one condition of an Environment: its reason and message.
func (c *cluster) ready(ctx context.Context, name string) func() string {
	return func() string {
		found := &mainstemv1.Environment{}
		if err := c.client.Get(ctx, client.ObjectKey{Name: name}, found); err != nil {
			return err.Error()
		}
		ready := apimeta.FindStatusCondition(found.Status.Conditions, mainstemv1.ReadyCondition)
		if ready == nil {
			return "no Ready"
		}
		stalled := apimeta.IsStatusConditionTrue(found.Status.Conditions, mainstemv1.StalledCondition)
		return fmt.Sprintf("%s %s stalled=%t: %s", ready.Status, ready.Reason, stalled, ready.Message)
	}
}

func (c *cluster) count(ctx context.Context, name string) func() mainstemv1.ApplicationCount {
	return func() mainstemv1.ApplicationCount {
		found := &mainstemv1.Environment{}
		if err := c.client.Get(ctx, client.ObjectKey{Name: name}, found); err != nil || found.Status.Applications == nil {
			return mainstemv1.ApplicationCount{Total: -1}
		}
		return *found.Status.Applications
	}
}

func (c *cluster) setStatus(t *testing.T, name string, states ...mainstemv1.EnvironmentState) {
	t.Helper()
	found := &mainstemv1.Application{}
	c.Expect(c.client.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: name}, found)).To(gomega.Succeed())
	found.Status.Environments = states
	c.Expect(c.client.Status().Update(t.Context(), found)).To(gomega.Succeed())
}

func entry(name string, after ...mainstemv1.EnvironmentName) *mainstemv1.Environment {
	result := &mainstemv1.Environment{ObjectMeta: metav1.ObjectMeta{Name: name}}
	result.Spec.After, result.Spec.Target.ServiceAccountName = after, "deployer"
	return result
}

func TestAgainstAPIServer(t *testing.T) {
	c := startCluster(t)
	ctx := t.Context()

	// A missing upstream is named; creating it mends the Environment without touching it.
	c.create(t, entry("main", "develop"))
	c.Eventually(c.ready(ctx, "main"), patience, glance).Should(gomega.HavePrefix("False UpstreamNotFound stalled=false: spec.after names develop"))
	c.create(t, entry("develop"))
	c.Eventually(c.ready(ctx, "main"), patience, glance).Should(gomega.HavePrefix("True Accepted stalled=false"))
	c.Eventually(c.ready(ctx, "develop"), patience, glance).Should(gomega.HavePrefix("True Accepted stalled=false"))

	// A circle is named on every Environment of it, and breaking it anywhere mends all.
	c.patchAfter(t, "develop", "main")
	const told = "develop → main → develop: take one of them out of spec.after"
	for _, name := range []string{"develop", "main"} {
		c.Eventually(c.ready(ctx, name), patience, glance).Should(gomega.And(gomega.HavePrefix("False Cycle stalled=true"), gomega.HaveSuffix(told)))
	}
	c.patchAfter(t, "develop")
	for _, name := range []string{"develop", "main"} {
		c.Eventually(c.ready(ctx, name), patience, glance).Should(gomega.HavePrefix("True Accepted stalled=false"))
	}

	// Applications are counted, and followed.
	c.create(t, application("a", healthy("develop"), healthy("main")), application("b", healthy("develop")))
	c.setStatus(t, "a", healthy("develop"), failed("main"))
	c.setStatus(t, "b", refused("develop"))
	c.Eventually(c.count(ctx, "develop"), patience, glance).Should(gomega.Equal(mainstemv1.ApplicationCount{Total: 2, Healthy: 1, Blocked: 1}))
	c.Eventually(c.count(ctx, "main"), patience, glance).Should(gomega.Equal(mainstemv1.ApplicationCount{Total: 1, Blocked: 1}))
	c.setStatus(t, "a", healthy("develop"), healthy("main"))
	c.Eventually(c.count(ctx, "main"), patience, glance).Should(gomega.Equal(mainstemv1.ApplicationCount{Total: 1, Healthy: 1}))

	// What changes nothing that is reported costs no write, also after the pause of the tally.
	writes, events := c.writes.Load(), c.events.Load()
	idle := healthy("develop")
	idle.WaitingFor = "checks"
	c.setStatus(t, "a", idle, healthy("main"))
	c.patchDescription(t, "develop")
	c.Consistently(c.writes.Load, tallyInterval+time.Second, glance).Should(gomega.BeNumerically("<=", writes+1),
		"only the new generation is written")
	c.Expect(c.writes.Load()).To(gomega.Equal(writes + 1))
	c.Expect(c.events.Load()).To(gomega.Equal(events))
}

func (c *cluster) patchAfter(t *testing.T, name string, after ...mainstemv1.EnvironmentName) {
	t.Helper()
	c.patch(t, name, func(e *mainstemv1.Environment) { e.Spec.After = after })
}

func (c *cluster) patchDescription(t *testing.T, name string) {
	t.Helper()
	c.patch(t, name, func(e *mainstemv1.Environment) { e.Spec.Description = "where it begins" })
}

func (c *cluster) patch(t *testing.T, name string, change func(*mainstemv1.Environment)) {
	t.Helper()
	found := &mainstemv1.Environment{}
	c.Expect(c.client.Get(t.Context(), client.ObjectKey{Name: name}, found)).To(gomega.Succeed())
	before := found.DeepCopy()
	change(found)
	c.Expect(c.client.Patch(t.Context(), found, client.MergeFrom(before))).To(gomega.Succeed())
}
