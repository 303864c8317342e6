// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package render

import (
	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// ManagedByLabel says which program made an object, as Kubernetes recommends
// (https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/).
const ManagedByLabel = "app.kubernetes.io/managed-by"

// ManagedBy is the value of [ManagedByLabel] on everything that Mainstem makes.
const ManagedBy = "mainstem"

// CredentialKind says how a repository's Secret authenticates. The words are those of the Secret's reader.
type CredentialKind string

const (
	// CredentialAnonymous : there is no Secret.
	CredentialAnonymous CredentialKind = "Anonymous"
	// CredentialToken : the Secret holds username and password.
	CredentialToken CredentialKind = "Token"
	// CredentialApp : the Secret holds a GitHub App's key.
	CredentialApp CredentialKind = "App"
)

// Scope is everything that one application in one environment is rendered from. Nothing in it is ever changed.
type Scope struct {
	// Application is required.
	Application *v1alpha1.Application
	// Environment is required, except by [Source].
	Environment *v1alpha1.Environment
	// Entry is the Application's entry for the Environment. It is required, except by [Source].
	Entry *v1alpha1.ApplicationEnvironment
	// Release is what is deployed. It is required, except by [EnvironmentURL].
	Release *v1alpha1.Release
	// Promotion is the name of the Promotion that deploys it, where there is one: each is looked at by Flux at once.
	Promotion string
	// Instance is the installation's name.
	Instance string
	// Credential is how the Secret of the Application's repository authenticates.
	Credential CredentialKind
}

// KustomizationLabels are the labels of an Application's Kustomization in an environment.
func KustomizationLabels(instance, application string, env v1alpha1.EnvironmentName) map[string]string {
	labels := generatedLabels(instance)
	labels[v1alpha1.ApplicationLabel], labels[v1alpha1.EnvironmentLabel] = application, string(env)
	return labels
}

// generatedLabels are the labels of every object that this installation makes.
func generatedLabels(instance string) map[string]string {
	return map[string]string{
		v1alpha1.InstanceLabel: instance,
		ManagedByLabel:         ManagedBy,
	}
}
