// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// GetConditions gives the conditions of the Environment.
func (e *Environment) GetConditions() []metav1.Condition { return e.Status.Conditions }

// SetConditions replaces the conditions of the Environment.
func (e *Environment) SetConditions(conditions []metav1.Condition) { e.Status.Conditions = conditions }

// GetConditions gives the conditions of the Application.
func (a *Application) GetConditions() []metav1.Condition { return a.Status.Conditions }

// SetConditions replaces the conditions of the Application.
func (a *Application) SetConditions(conditions []metav1.Condition) { a.Status.Conditions = conditions }

// GetConditions gives the conditions of the Promotion.
func (p *Promotion) GetConditions() []metav1.Condition { return p.Status.Conditions }

// SetConditions replaces the conditions of the Promotion.
func (p *Promotion) SetConditions(conditions []metav1.Condition) { p.Status.Conditions = conditions }
