// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package render

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// TemplateError says which field holds a template that cannot be used, and how to mend it. It is one sentence, fit for a
// condition.
type TemplateError struct {
	// Field is the path of the field, e.g. spec.deploy.kustomize.path; an Environment's begins with its kind and name.
	Field string
	// Variable is the variable that is unknown, or that the release lacks; empty where a ${ is not closed.
	Variable string
	// reason is the rest of the sentence.
	reason error
}

// Error is the sentence.
func (e *TemplateError) Error() string { return e.Field + " " + e.reason.Error() }

// Unwrap gives the reason alone.
func (e *TemplateError) Unwrap() error { return e.reason }

// errNotClosed : a template has a ${ without its }.
var errNotClosed = errors.New("has a ${ without its }: close it; known variables are " + spelledVariables())

// unknownVariableError : there is no such variable.
type unknownVariableError struct{ variable string }

// maxQuotedVariable bounds, in runes, how much of a wrong variable is repeated in a message.
const maxQuotedVariable = 64

func (e *unknownVariableError) Error() string {
	message := fmt.Sprintf("uses %s, which does not exist", spell(cutText(oneLine(e.variable), maxQuotedVariable)))
	if meant := suggest(e.variable); meant != "" {
		message += ": did you mean " + spell(meant) + "? Known variables are "
	} else {
		message += "; known variables are "
	}
	return message + spelledVariables()
}

// missingVariableError : there is such a variable, but not for this release.
type missingVariableError struct{ variable string }

func (e *missingVariableError) Error() string {
	return fmt.Sprintf("uses %s, which this release does not have", spell(e.variable))
}

// newTemplateError names the field that an error of parse or expand is about.
func newTemplateError(field string, err error) error {
	result := &TemplateError{Field: field, reason: err}
	var unknown *unknownVariableError
	var missing *missingVariableError
	switch {
	case errors.As(err, &unknown):
		result.Variable = unknown.variable
	case errors.As(err, &missing):
		result.Variable = missing.variable
	}
	return result
}

func spelledVariables() string {
	names := Variables()
	for i, name := range names {
		names[i] = spell(name)
	}
	return strings.Join(names, ", ")
}

// CheckTemplates refuses a variable that does not exist, anywhere in what the entry deploys (the Application's deploy with
// the entry's on top) and in the Environment's url. The error is a [*TemplateError] about the first such field; where the
// entry overrides a field, the entry's is named.
func CheckTemplates(app *v1alpha1.Application, entry *v1alpha1.ApplicationEnvironment, env *v1alpha1.Environment) error {
	return eachVariable(app, entry, env, func(field, variable string) error {
		if known(variable) {
			return nil
		}
		return newTemplateError(field, &unknownVariableError{variable: variable})
	})
}

// MissingVariables gives the variables that the entry's templates use and that the release lacks: tag and version where it
// is not a GitHub release, branch where only a tag leads to it. They come in the order of [Variables], each once. Templates
// that [CheckTemplates] refuses are passed over. The Environment's url does not count: a link keeps nothing out.
func MissingVariables(app *v1alpha1.Application, entry *v1alpha1.ApplicationEnvironment, env *v1alpha1.Environment, release *v1alpha1.Release) []string {
	has := Scope{Application: app, Environment: env, Entry: entry, Release: release}.values()
	lacks := map[string]bool{}
	err := eachVariable(app, entry, nil, func(_, variable string) error {
		if _, ok := has[variable]; !ok {
			lacks[variable] = true
		}
		return nil
	})
	if err != nil {
		return nil
	}
	var missing []string
	for _, name := range Variables() {
		if lacks[name] {
			missing = append(missing, name)
		}
	}
	return missing
}

// eachVariable calls visit for every use of a variable, known or not. It stops at the first error: visit's, or one about a
// template that cannot be parsed.
func eachVariable(app *v1alpha1.Application, entry *v1alpha1.ApplicationEnvironment, env *v1alpha1.Environment, visit func(field, variable string) error) error {
	inText := func(field, text string) error {
		pieces, err := parseTemplate(text)
		if err != nil {
			return newTemplateError(field, err)
		}
		for _, p := range pieces {
			if !p.variable {
				continue
			}
			if err := visit(field, p.text); err != nil {
				return err
			}
		}
		return nil
	}
	deploy := MergedDeploy(app, entry)
	err := eachTemplate(&deploy, func(at deployField, text string) (string, error) {
		return text, inText(at.path(entry), text)
	})
	if err != nil || env == nil {
		return err
	}
	return inText(urlField(env), env.Spec.URL)
}

// urlField names the url of an Environment, which the Application's team reads about but does not own.
func urlField(env *v1alpha1.Environment) string {
	return fmt.Sprintf("spec.url of Environment %s", env.Name)
}

// deployField is a place in a KustomizeDeploy that holds a template.
type deployField struct {
	// name is the field, such as images.
	name string
	// within leads further into it, such as [0].newTag.
	within string
	// key is the key of a map's entry.
	key string
}

// path is the field's path in the Application, wherever the merged value came from.
func (f deployField) path(entry *v1alpha1.ApplicationEnvironment) string {
	if f.overridden(entry) {
		return fmt.Sprintf("spec.environments[%s].deploy.kustomize.%s%s", entry.Name, f.name, f.within)
	}
	return fmt.Sprintf("spec.deploy.kustomize.%s%s", f.name, f.within)
}

// overridden says whether the entry's own deploy sets the field.
func (f deployField) overridden(entry *v1alpha1.ApplicationEnvironment) bool {
	if entry == nil || entry.Deploy == nil || entry.Deploy.Kustomize == nil {
		return false
	}
	own := entry.Deploy.Kustomize
	switch f.name {
	case "path":
		return own.Path != ""
	case "targetNamespace":
		return own.TargetNamespace != ""
	case "substitute":
		_, ok := own.Substitute[f.key]
		return ok
	case "images":
		return len(own.Images) > 0
	case "healthChecks":
		return len(own.HealthChecks) > 0
	}
	return false
}

// eachTemplate calls visit with every field of deploy that holds a template, always in the same order, and puts back what
// it returns. It is the one list of such fields: what is rendered has been checked.
func eachTemplate(deploy *v1alpha1.KustomizeDeploy, visit func(at deployField, text string) (string, error)) error {
	replace := func(at deployField, text *string) error {
		replaced, err := visit(at, *text)
		if err == nil {
			*text = replaced
		}
		return err
	}
	if err := replace(deployField{name: "path"}, &deploy.Path); err != nil {
		return err
	}
	if err := replace(deployField{name: "targetNamespace"}, &deploy.TargetNamespace); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(deploy.Substitute)) {
		value := deploy.Substitute[key]
		if err := replace(deployField{name: "substitute", within: "." + key, key: key}, &value); err != nil {
			return err
		}
		deploy.Substitute[key] = value
	}
	for i := range deploy.Images {
		image := &deploy.Images[i]
		for _, part := range []struct {
			name string
			text *string
		}{{"name", &image.Name}, {"newName", &image.NewName}, {"newTag", &image.NewTag}, {"digest", &image.Digest}} {
			if err := replace(deployField{name: "images", within: fmt.Sprintf("[%d].%s", i, part.name)}, part.text); err != nil {
				return err
			}
		}
	}
	for i := range deploy.HealthChecks {
		check := &deploy.HealthChecks[i]
		if err := replace(deployField{name: "healthChecks", within: fmt.Sprintf("[%d].name", i)}, &check.Name); err != nil {
			return err
		}
		if err := replace(deployField{name: "healthChecks", within: fmt.Sprintf("[%d].namespace", i)}, &check.Namespace); err != nil {
			return err
		}
	}
	return nil
}
