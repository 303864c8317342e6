// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package observe

import (
	"strings"
	"testing"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var sha, another = strings.Repeat("a", 40), strings.Repeat("b", 40)

// source is a GitRepository with an artifact of a revision, if any, and what its conditions say.
func source(revision string, conditions ...metav1.Condition) *sourcev1.GitRepository {
	s := &sourcev1.GitRepository{}
	if revision != "" {
		s.Status.Artifact = &meta.Artifact{Revision: revision}
	}
	s.Status.Conditions = conditions
	return s
}

func says(kind string, status metav1.ConditionStatus, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: "Because", Message: message}
}

func TestWhatASourceReports(t *testing.T) {
	for name, test := range map[string]struct {
		source          *sourcev1.GitRepository
		commit, message string
	}{
		"nothing yet":                    {source(""), "", ""},
		"a branch's commit":              {source("main@sha1:"+sha, says(meta.ReadyCondition, metav1.ConditionTrue, "stored")), sha, ""},
		"a commit alone":                 {source("sha1:" + sha), sha, ""},
		"Ready before there is anything": {source("", says(meta.ReadyCondition, metav1.ConditionTrue, "stored")), "", ""},
		"that it is at it":               {source("", says(meta.ReadyCondition, metav1.ConditionUnknown, "building")), "", ""},
		"that it is not Ready":           {source("", says(meta.ReadyCondition, metav1.ConditionFalse, "no such Secret")), "", "no such Secret"},
		"a failure, while it tries again": {source("", says(meta.ReadyCondition, metav1.ConditionUnknown, "building"),
			says(sourcev1.FetchFailedCondition, metav1.ConditionTrue, "object not found")), "", "object not found"},
	} {
		if got := ReportedSource(test.source); !got.Exists || got.Commit != test.commit || got.Message != test.message {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestAHalfWrittenReport : Flux writes conditions before revisions, and what it says of a revision counts only once it is there.
func TestAHalfWrittenReport(t *testing.T) {
	k := applied("podinfo", "main", web)
	k.Generation, k.Status.ObservedGeneration = 2, 1
	k.Status.LastAppliedRevision, k.Status.LastAttemptedRevision = "main@sha1:"+sha, "main@sha1:"+sha
	k.Status.Conditions = []metav1.Condition{says(meta.ReadyCondition, metav1.ConditionTrue, "Applied revision: main@sha1:"+another)}
	got := reported(k, source("main@sha1:"+another))
	if got.Applied != sha || got.Attempted != sha || got.SourceCommit != another || got.GenerationObserved || got.Ready != "True" {
		t.Errorf("got %+v", got)
	}
}

func TestTheSameFailureHasTheSameWords(t *testing.T) {
	k := applied("podinfo", "main", web)
	for _, directory := range []string{"/tmp/kustomization-1", "/data/kustomization-987654321"} {
		k.Status.Conditions = []metav1.Condition{says(meta.ReadyCondition, metav1.ConditionFalse,
			"kustomization path not found: stat "+directory+"/deploy: no such file or directory")}
		if got := reported(k, nil).Message; got != "kustomization path not found: stat /deploy: no such file or directory" {
			t.Errorf("got %q", got)
		}
	}
}
