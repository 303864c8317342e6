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

// Event is what a webhook says, as far as it is used: a hint of what to look at again. Nothing is decided by it.
type Event struct {
	Kind EventKind
	// Host is the host of the repository's page, lower case, with its port if it has one; "" when the event is about no
	// repository (some pings).
	Host string
	// Repository is owner/name.
	Repository string
	// Action is GitHub's: opened, completed, published…; "" for events that have none.
	Action string
	// Branch is the branch that it is about: that was pushed, created or deleted, that a check ran on, a pull request's
	// base. Tag is the tag, of a push, a release, a create or delete.
	Branch, Tag string
	// Number is the pull request's.
	Number int
	// StatusContext is the context of a commit status.
	StatusContext string
	// SHAs are the commits that it is about, without repeats.
	SHAs []string
}

// Key is the same as [Repository.Key] of the repository that the event is about; "" when it is about none.
func (e Event) Key() string {
	if e.Repository == "" {
		return ""
	}
	return repositoryKey(e.Host, e.Repository)
}

// payload is what is read of the payloads: their fields do not get in each other's way.
type payload struct {
	Action     string `json:"action"`
	Repository *struct {
		FullName string `json:"full_name"`
		HTMLURL  string `json:"html_url"`
		CloneURL string `json:"clone_url"`
	} `json:"repository"`

	// push, create, delete
	Ref     string `json:"ref"`
	RefType string `json:"ref_type"`
	Before  string `json:"before"`
	After   string `json:"after"`

	// status
	SHA      string `json:"sha"`
	Context  string `json:"context"`
	Branches []struct {
		Name string `json:"name"`
	} `json:"branches"`

	Release struct {
		TagName string `json:"tag_name"`
	} `json:"release"`
	PullRequest struct {
		Number         int         `json:"number"`
		MergeCommitSHA string      `json:"merge_commit_sha"`
		Merged         bool        `json:"merged"`
		Head           payloadSide `json:"head"`
		Base           payloadSide `json:"base"`
	} `json:"pull_request"`
	CheckRun struct {
		HeadSHA    string       `json:"head_sha"`
		CheckSuite payloadSuite `json:"check_suite"`
	} `json:"check_run"`
	CheckSuite payloadSuite `json:"check_suite"`
}

type payloadSide struct {
	Ref string `json:"ref"`
	SHA string `json:"sha"`
}

type payloadSuite struct {
	HeadBranch string `json:"head_branch"`
	HeadSHA    string `json:"head_sha"`
}

// ParseEvent reads a delivery: kind is the value of X-GitHub-Event. A kind that means nothing here is
// [EventUnknown] and its body is not looked at. Verify the signature before believing anything of it.
func ParseEvent(kind string, body []byte) (Event, error) {
	event := Event{Kind: EventKind(kind)}
	if !slices.Contains(knownEvents, event.Kind) {
		return Event{Kind: EventUnknown}, nil
	}
	var read payload
	if err := json.Unmarshal(body, &read); err != nil {
		return Event{}, fmt.Errorf("reading a %s event: %w", kind, err)
	}
	event.Action = read.Action
	if err := event.readRepository(read); err != nil {
		return Event{}, fmt.Errorf("reading a %s event: %w", kind, err)
	}
	event.readSubject(read)
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

// readSubject takes what the kind is about.
func (e *Event) readSubject(read payload) {
	switch e.Kind {
	case EventPush:
		e.readRef(read.Ref)
		e.addSHAs(read.Before, read.After)
	case EventCreate, EventDelete:
		if read.RefType == "tag" {
			e.Tag = read.Ref
		} else {
			e.Branch = read.Ref
		}
	case EventRelease:
		e.Tag = read.Release.TagName
	case EventPullRequest:
		e.Number = read.PullRequest.Number
		e.Branch = read.PullRequest.Base.Ref
		e.addSHAs(read.PullRequest.Head.SHA)
		if read.PullRequest.Merged {
			e.addSHAs(read.PullRequest.MergeCommitSHA)
		}
	case EventCheckRun:
		e.Branch = read.CheckRun.CheckSuite.HeadBranch
		e.addSHAs(read.CheckRun.HeadSHA)
	case EventCheckSuite:
		e.Branch = read.CheckSuite.HeadBranch
		e.addSHAs(read.CheckSuite.HeadSHA)
	case EventStatus:
		if len(read.Branches) > 0 {
			e.Branch = read.Branches[0].Name
		}
		e.StatusContext = read.Context
		e.addSHAs(read.SHA)
	case EventRepository, EventPing, EventUnknown:
	}
}

func (e *Event) readRef(ref string) {
	if tag, ok := strings.CutPrefix(ref, "refs/tags/"); ok {
		e.Tag = tag
	}
	if branch, ok := strings.CutPrefix(ref, "refs/heads/"); ok {
		e.Branch = branch
	}
}

// addSHAs takes full SHAs, but not the zeros that stand for "nothing".
func (e *Event) addSHAs(shas ...string) {
	for _, sha := range shas {
		if checkSHA(sha) == nil && strings.Trim(sha, "0") != "" && !slices.Contains(e.SHAs, sha) {
			e.SHAs = append(e.SHAs, sha)
		}
	}
}
