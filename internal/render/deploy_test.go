// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package render_test

import (
	"reflect"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// everyField is a deploy with every field set, to a value that the word decides.
func everyField(word string, prune bool) v1alpha1.KustomizeDeploy {
	return v1alpha1.KustomizeDeploy{
		Path:            word,
		TargetNamespace: word,
		Substitute:      map[string]string{"both": word, word: word},
		Images:          []kustomize.Image{{Name: word}},
		HealthChecks:    []meta.NamespacedObjectKindReference{{Kind: word, Name: word}},
		Interval:        &metav1.Duration{Duration: time.Duration(len(word)) * time.Minute},
		Timeout:         &metav1.Duration{Duration: time.Duration(len(word)) * time.Second},
		Prune:           &prune,
		Decryption:      &kustomizev1.Decryption{Provider: word},
	}
}

// TestMergedDeploy goes through the fields of the type, so that a new one cannot be forgotten.
func TestMergedDeploy(t *testing.T) {
	base, own := everyField("application", true), everyField("entry", false)
	fields := reflect.TypeOf(base)
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		t.Run(name, func(t *testing.T) {
			if reflect.ValueOf(base).Field(i).IsZero() {
				t.Fatal("everyField does not set it")
			}
			var one v1alpha1.KustomizeDeploy
			reflect.ValueOf(&one).Elem().Field(i).Set(reflect.ValueOf(own).Field(i))
			want := *base.DeepCopy()
			reflect.ValueOf(&want).Elem().Field(i).Set(reflect.ValueOf(own).Field(i))
			if name == "Substitute" {
				want.Substitute = map[string]string{"application": "application", "entry": "entry", "both": "entry"}
			}
			scope := scopeFor(deploying(base), overriding(one))
			if got := render.MergedDeploy(scope.Application, scope.Entry); !reflect.DeepEqual(got, want) {
				t.Errorf("merged is %+v, want %+v", got, want)
			}
			alone := scopeFor(deploying(v1alpha1.KustomizeDeploy{}), overriding(one))
			if got := render.MergedDeploy(alone.Application, alone.Entry); !reflect.DeepEqual(got, one) {
				t.Errorf("on nothing, merged is %+v, want %+v", got, one)
			}
		})
	}
}

// TestMergedDeploySharesNothing : what is done to the result must not reach an object in the cache.
func TestMergedDeploySharesNothing(t *testing.T) {
	scope := scopeFor(deploying(everyField("application", true)), overriding(v1alpha1.KustomizeDeploy{Images: []kustomize.Image{{Name: "entry"}}}))
	merged := render.MergedDeploy(scope.Application, scope.Entry)
	merged.Substitute["both"] = "changed"
	merged.Images[0].Name = "changed"
	merged.HealthChecks[0].Name = "changed"
	*merged.Prune = false
	merged.Decryption.Provider = "changed"
	if got := *scope.Application.Spec.Deploy.Kustomize; !reflect.DeepEqual(got, everyField("application", true)) {
		t.Errorf("the Application became %+v", got)
	}
	if got := scope.Entry.Deploy.Kustomize.Images[0].Name; got != "entry" {
		t.Errorf("the entry became %s", got)
	}
}
