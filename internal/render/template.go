// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package render

import (
	"slices"
	"strings"
)

// The variables that templates can use.
const (
	variableApp         = "app"
	variableNamespace   = "namespace"
	variableEnvironment = "environment"
	variableCommit      = "commit"
	variableShortCommit = "shortCommit"
	variableBranch      = "branch"
	variableTag         = "tag"
	variableVersion     = "version"
)

// Variables are the names of the variables that templates can use, in the order of the documentation.
func Variables() []string {
	return []string{
		variableApp, variableNamespace, variableEnvironment, variableCommit,
		variableShortCommit, variableBranch, variableTag, variableVersion,
	}
}

// values are what the variables stand for. A variable that the release lacks is absent.
type values map[string]string

// values gives the variables of a scope. Without a Release, those that it would give are absent.
func (s Scope) values() values {
	all := values{
		variableApp:       s.Application.Name,
		variableNamespace: s.Application.Namespace,
	}
	if s.Environment != nil {
		all[variableEnvironment] = s.Environment.Name
	}
	if s.Release != nil {
		spec := s.Release.Spec
		all[variableCommit] = spec.Commit
		all[variableShortCommit] = shortCommit(spec.Commit)
		all[variableBranch] = spec.Branch
		all[variableTag] = spec.Tag
		all[variableVersion] = spec.Version
	}
	for name, value := range all {
		if value == "" {
			delete(all, name)
		}
	}
	return all
}

// known says whether there is such a variable, whatever a release has.
func known(variable string) bool { return slices.Contains(Variables(), variable) }

// piece is a stretch of a template: literal text, or the name of a variable.
type piece struct {
	text     string
	variable bool
}

// parseTemplate cuts a template into pieces. It fails only where a ${ is not closed.
func parseTemplate(template string) ([]piece, error) {
	var pieces []piece
	rest := template
	for {
		start := strings.Index(rest, "${")
		if start < 0 {
			return append(pieces, piece{text: rest}), nil
		}
		length := strings.IndexByte(rest[start:], '}')
		if length < 0 {
			return nil, errNotClosed
		}
		pieces = append(pieces,
			piece{text: rest[:start]},
			piece{text: rest[start+len("${") : start+length], variable: true})
		rest = rest[start+length+1:]
	}
}

// expand replaces the variables of a template, once. A value is never expanded again.
func expand(template string, with values) (string, error) {
	pieces, err := parseTemplate(template)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, p := range pieces {
		if !p.variable {
			out.WriteString(p.text)
			continue
		}
		value, ok := with[p.text]
		switch {
		case ok:
			out.WriteString(value)
		case known(p.text):
			return "", &missingVariableError{variable: p.text}
		default:
			return "", &unknownVariableError{variable: p.text}
		}
	}
	return out.String(), nil
}

// EnvironmentURL is where a person finds the application in the environment: spec.url of the Environment with its
// variables replaced. It is empty where there is no such URL, or where it uses a variable that the release lacks: a link
// that leads nowhere is worse than none.
func EnvironmentURL(scope Scope) string {
	if scope.Environment == nil {
		return ""
	}
	url, err := expand(scope.Environment.Spec.URL, scope.values())
	if err != nil {
		return ""
	}
	return url
}

// spell writes a variable as a template does.
func spell(variable string) string { return "${" + variable + "}" }
