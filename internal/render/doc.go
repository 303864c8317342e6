// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package render turns an Application, an Environment and a Release into what Mainstem writes: the Flux objects, the text
// of the promotion pull request, the commit status, and every name.
//
// It is pure: the same input gives the same output, byte for byte. It reads no clock, no cluster and no network, so that
// the controllers, a dry run and a test all see the same objects, and an unchanged world is never rewritten.
//
// # Variables
//
// A template is text with variables in the form ${name}; [Variables] lists them. They are replaced once: what a value holds
// is never looked at again, so that a branch called ${app} stays that text. There is no escape: a ${ always begins a
// variable, and one that is unknown or not closed is refused by [CheckTemplates]. A $ that no { follows is just a $.
// Variables of Flux's own postBuild substitution are a different thing: they stand in the repository's YAML, where Mainstem
// never looks.
package render
