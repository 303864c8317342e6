// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// EventKind is what a webhook is about.
type EventKind string

// The events that mean something here. The others are Unknown, which is not an error: GitHub sends what it is asked to
// and a little more.
const (
	EventPing        EventKind = "ping"
	EventPush        EventKind = "push"
	EventCreate      EventKind = "create"
	EventDelete      EventKind = "delete"
	EventRelease     EventKind = "release"
	EventPullRequest EventKind = "pull_request"
	EventCheckRun    EventKind = "check_run"
	EventCheckSuite  EventKind = "check_suite"
	EventStatus      EventKind = "status"
	EventRepository  EventKind = "repository"
	EventUnknown     EventKind = "unknown"
)

var knownEvents = []EventKind{
	EventPing, EventPush, EventCreate, EventDelete, EventRelease, EventPullRequest, EventCheckRun, EventCheckSuite, EventStatus,
	EventRepository,
}

// Known says whether a kind of event, as X-GitHub-Event gives it, means something here.
func Known(kind string) bool { return slices.Contains(knownEvents, EventKind(kind)) }

// Event is what a webhook says, as far as it is used: a hint of what to look at again. Nothing is decided by it.
type Event struct {
	Kind EventKind
	// Host is the host of the repository's page, lower case, with its port if it has one; "" when the event is about no
	// repository (some pings).
	Host string
	// Repository is owner/name.
	Repository string
	// StatusContext is the context of a commit status.
	StatusContext string
}

// Key is the same as [Repository.Key] of the repository that the event is about; "" when it is about none.
func (e Event) Key() string {
	if e.Repository == "" {
		return ""
	}
	return repositoryKey(e.Host, e.Repository)
}

// payload is what is read of the payloads.
type payload struct {
	Repository *struct {
		FullName string `json:"full_name"`
		HTMLURL  string `json:"html_url"`
		CloneURL string `json:"clone_url"`
	} `json:"repository"`
	// Context is a commit status's.
	Context string `json:"context"`
}

// ParseEvent reads a delivery: kind is the value of X-GitHub-Event. A kind that means nothing here is
// [EventUnknown] and its body is not looked at. Verify the signature before believing anything of it.
func ParseEvent(kind string, body []byte) (Event, error) {
	if !Known(kind) {
		return Event{Kind: EventUnknown}, nil
	}
	event := Event{Kind: EventKind(kind)}
	var read payload
	if err := json.Unmarshal(body, &read); err != nil {
		return Event{}, fmt.Errorf("reading a %s event: %w", kind, err)
	}
	if err := event.readRepository(read); err != nil {
		return Event{}, fmt.Errorf("reading a %s event: %w", kind, err)
	}
	if event.Kind == EventStatus {
		event.StatusContext = read.Context
	}
	return event, nil
}

func (e *Event) readRepository(read payload) error {
	if read.Repository == nil {
		if e.Kind == EventPing {
			return nil
		}
		return errors.New("it names no repository")
	}
	for _, address := range []string{read.Repository.HTMLURL, read.Repository.CloneURL} {
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			e.Host = strings.ToLower(u.Host)
			break
		}
	}
	e.Repository = read.Repository.FullName
	if e.Host == "" || strings.Count(e.Repository, "/") != 1 {
		return errors.New("it does not say which repository it is about")
	}
	return nil
}
