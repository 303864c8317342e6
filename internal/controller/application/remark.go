// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package application

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// restrictedReason is that of RepositoryReachable where GitHub answers, and something about the repository or the credential asks
// for a person all the same. It is True: releases go on.
const restrictedReason = "Restricted"

// remark says in RepositoryReachable what people should know of a GitHub that answers; empty words say nothing. Where it does not
// answer, that is what there is to say.
func remark(status *v1alpha1.ApplicationStatus, words ...string) {
	reachable := meta.FindStatusCondition(status.Conditions, v1alpha1.RepositoryReachableCondition)
	if reachable == nil || reachable.Status != metav1.ConditionTrue {
		return
	}
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	if len(words) == 0 {
		reachable.Reason, reachable.Message = v1alpha1.ObservedReason, "GitHub answers"
		return
	}
	reachable.Reason, reachable.Message = restrictedReason, "GitHub answers, but "+strings.Join(words, "; ")
}

// keepRemark lets the remark that is stored stand until it is known whether it still holds, so that it is not written at each look.
func keepRemark(stored v1alpha1.ApplicationStatus, status *v1alpha1.ApplicationStatus) {
	before := meta.FindStatusCondition(stored.Conditions, v1alpha1.RepositoryReachableCondition)
	now := meta.FindStatusCondition(status.Conditions, v1alpha1.RepositoryReachableCondition)
	if before != nil && now != nil && before.Reason == restrictedReason && now.Status == metav1.ConditionTrue {
		now.Reason, now.Message = before.Reason, before.Message
	}
}
