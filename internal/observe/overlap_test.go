// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package observe

import (
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/index"
	"github.com/mainstem-dev/mainstem/internal/policy"
	"github.com/mainstem-dev/mainstem/internal/render"
)

const web = "shop_web_apps_Deployment"

// application is an Application of team-a with the environments develop and main, made so many minutes after the first.
func application(name string, minutes time.Duration) *v1alpha1.Application {
	return &v1alpha1.Application{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(now.Add(minutes * time.Minute))},
		Spec:       v1alpha1.ApplicationSpec{Environments: []v1alpha1.ApplicationEnvironment{{Name: "develop"}, {Name: "main"}}},
	}
}

// applied is what was made for an Application in an environment, by which Flux applies a target.
func applied(app string, env v1alpha1.EnvironmentName, target string) *kustomizev1.Kustomization {
	name := render.KustomizationName(app, env)
	k := &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name, UID: types.UID(name), Labels: map[string]string{
		v1alpha1.ApplicationLabel: app, v1alpha1.EnvironmentLabel: string(env),
	}}}
	k.Status.Inventory = &kustomizev1.ResourceInventory{Entries: []kustomizev1.ResourceRef{{ID: "_shop__Namespace", Version: "v1"}, {ID: target, Version: "v1"}}}
	return k
}

func TestWhoHasTheBetterRightToWhatBothApply(t *testing.T) {
	mine := applied("podinfo", "main", web)
	copied := applied("first", "main", web) // By a person, labels and all.
	copied.Name, copied.UID = "copy", "copy"
	remote := applied("first", "main", web)
	remote.Spec.KubeConfig = &meta.KubeConfigReference{SecretRef: &meta.SecretKeyReference{Name: "eks"}}
	for name, test := range map[string]struct {
		other *kustomizev1.Kustomization
		// told is how the holder is called; empty where nobody else is.
		told string
	}{
		"an older Application":                      {applied("first", "main", web), "Application team-a/first in environment main"},
		"not a younger one":                         {applied("last", "main", web), ""},
		"not one that is gone":                      {applied("gone", "main", web), ""},
		"an environment that is listed before":      {applied("podinfo", "develop", web), "environment develop of this Application"},
		"not one that is listed no more":            {applied("podinfo", "staging", web), ""},
		"not who applies something else":            {applied("first", "main", "shop_web__Service"), ""},
		"not who applies it to another cluster":     {remote, ""},
		"not who has copied what Mainstem has made": {copied, ""},
	} {
		t.Run(name, func(t *testing.T) {
			problem := observed(t, mine, test.other)
			if test.told == "" {
				if problem != nil {
					t.Fatalf("got %s", problem.Message)
				}
				return
			}
			if problem == nil || problem.Reason != v1alpha1.TargetConflictReason || !problem.RetryAt.Equal(now.Add(conflictRetry)) {
				t.Fatalf("got %+v", problem)
			}
			for _, words := range []string{"Deployment web in namespace shop", test.told, "another targetNamespace"} {
				if !strings.Contains(problem.Message, words) {
					t.Errorf("%q lacks %q", problem.Message, words)
				}
			}
		})
	}
}

// observed is what is wrong with podinfo in main where both Kustomizations are there.
func observed(t *testing.T, mine, other *kustomizev1.Kustomization) *policy.Problem {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{kustomizev1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	app := application("podinfo", 5)
	objects := []client.Object{mine.DeepCopy(), other.DeepCopy(), app, application("first", 0), application("last", 9)}
	cache := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithIndex(&kustomizev1.Kustomization{}, index.KustomizationsByTarget, index.TargetsOf).Build()
	o := New(Observer{Cache: cache, Now: func() time.Time { return now }})
	problem, err := o.overlap(t.Context(), &Observation{State: policy.State{Application: app},
		Kustomizations: map[v1alpha1.EnvironmentName]*kustomizev1.Kustomization{"main": mine}}, "main")
	if err != nil {
		t.Fatal(err)
	}
	return problem
}
