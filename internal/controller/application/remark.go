// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package application

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// tellDenial says in RepositoryReachable that GitHub does not let commit statuses be written; empty words say nothing. The condition
// stays True: releases go on. Where GitHub does not answer, that is what there is to say.
func tellDenial(status *v1alpha1.ApplicationStatus, words string) {
	reachable := reachableOf(status)
	if reachable == nil {
		return
	}
	told, _, _ := strings.Cut(reachable.Message, denialMark)
	switch {
	case words == "" && reachable.Reason == v1alpha1.CommitStatusDeniedReason:
		reachable.Reason, reachable.Message = v1alpha1.ObservedReason, told
	case words == "":
		reachable.Message = told
	default:
		if reachable.Reason == v1alpha1.ObservedReason {
			reachable.Reason = v1alpha1.CommitStatusDeniedReason
		}
		reachable.Message = told + denialMark + words
	}
}

// denialMark comes before what is said of commit statuses, after everything else.
const denialMark = "; commit statuses are not written: "

// keepDenial lets what is stored about commit statuses stand until it is known whether it still holds, so that it is not written at
// each look.
func keepDenial(stored v1alpha1.ApplicationStatus, status *v1alpha1.ApplicationStatus) {
	if before := reachableOf(&stored); before != nil {
		if _, words, denied := strings.Cut(before.Message, denialMark); denied {
			tellDenial(status, words)
		}
	}
}

// reachableOf is the condition RepositoryReachable where GitHub answers, or nil.
func reachableOf(status *v1alpha1.ApplicationStatus) *metav1.Condition {
	reachable := meta.FindStatusCondition(status.Conditions, v1alpha1.RepositoryReachableCondition)
	if reachable == nil || reachable.Status != metav1.ConditionTrue {
		return nil
	}
	return reachable
}
