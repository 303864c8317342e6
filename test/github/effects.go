package github

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

// EffectKind names a change of the emulated world.
type EffectKind string

// The effects that are counted.
const (
	BranchCreated         EffectKind = "BranchCreated"
	BranchMoved           EffectKind = "BranchMoved"
	BranchDeleted         EffectKind = "BranchDeleted"
	TagCreated            EffectKind = "TagCreated"
	TagMoved              EffectKind = "TagMoved"
	TagDeleted            EffectKind = "TagDeleted"
	PullOpened            EffectKind = "PullOpened"
	PullEdited            EffectKind = "PullEdited"
	PullSynchronized      EffectKind = "PullSynchronized"
	PullClosed            EffectKind = "PullClosed"
	PullReopened          EffectKind = "PullReopened"
	PullMerged            EffectKind = "PullMerged"
	ReviewRequested       EffectKind = "ReviewRequested"
	ReviewSubmitted       EffectKind = "ReviewSubmitted"
	LabelAdded            EffectKind = "LabelAdded"
	CommentCreated        EffectKind = "CommentCreated"
	StatusCreated         EffectKind = "StatusCreated"
	CheckRunCreated       EffectKind = "CheckRunCreated"
	CheckRunUpdated       EffectKind = "CheckRunUpdated"
	ReleaseCreated        EffectKind = "ReleaseCreated"
	ReleasePublished      EffectKind = "ReleasePublished"
	ReleaseEdited         EffectKind = "ReleaseEdited"
	ReleaseDeleted        EffectKind = "ReleaseDeleted"
	ProtectionChanged     EffectKind = "ProtectionChanged"
	HookCreated           EffectKind = "HookCreated"
	TokenIssued           EffectKind = "TokenIssued"
	RepositoryArchived    EffectKind = "RepositoryArchived"
	RepositoryRenamed     EffectKind = "RepositoryRenamed"
	RepositoryUnarchived  EffectKind = "RepositoryUnarchived"
	RepositoryTransferred EffectKind = "RepositoryTransferred"
)

// Source says by which door an effect came.
type Source string

// The doors.
const (
	// SourceAPI is the REST API.
	SourceAPI Source = "API"
	// SourceGit is a push over smart HTTP.
	SourceGit Source = "Git"
	// SourceTest is a method of Repository: a test playing a person.
	SourceTest Source = "Test"
)

// Effect is one change that happened.
type Effect struct {
	Kind       EffectKind
	Source     Source
	Actor      string
	Repository string
	// Ref is the full ref name where one is concerned, SHA the commit.
	Ref, SHA string
	// Number is that of the pull request.
	Number int
	// Detail is what else identifies it: a status context, a check's name, a tag.
	Detail string
	Time   time.Time
}

// Effects is a list of changes in the order in which they happened.
type Effects []Effect

// Of keeps the effects of one kind.
func (e Effects) Of(kind EffectKind) Effects {
	return e.where(func(x Effect) bool { return x.Kind == kind })
}

// By keeps the effects that came through one door.
func (e Effects) By(source Source) Effects {
	return e.where(func(x Effect) bool { return x.Source == source })
}

// In keeps the effects on one repository, by its full name.
func (e Effects) In(repository string) Effects {
	return e.where(func(x Effect) bool { return x.Repository == repository })
}

// Count returns how many effects of a kind there are.
func (e Effects) Count(kind EffectKind) int { return len(e.Of(kind)) }

func (e Effects) where(keep func(Effect) bool) Effects {
	var kept Effects
	for _, effect := range e {
		if keep(effect) {
			kept = append(kept, effect)
		}
	}
	return kept
}

// CallCount counts the calls of one operation.
type CallCount struct {
	// Total counts all calls that were answered.
	Total int
	// Charged counts those that went against the primary rate limit.
	Charged int
	// NotModified counts those answered 304.
	NotModified int
	// Refused counts those answered 4xx or 5xx.
	Refused int
}

// Calls returns the count of every operation called since the last reset, by
// "METHOD template", such as "GET /repos/{owner}/{repo}/branches/{branch}". Git
// traffic is counted as "GIT upload-pack" and "GIT receive-pack"; calls that a fault
// kept from having an effect are not counted.
func (s *Server) Calls() map[string]CallCount {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// Effects returns what has changed since the last reset.
func (s *Server) Effects() Effects {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.effects)
}

// ResetCounts forgets the calls and effects so far.
func (s *Server) ResetCounts() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = map[string]CallCount{}
	s.effects = nil
}

// actor is who causes an effect, and by which door.
type actor struct {
	account *account
	source  Source
	app     *App
}

func (s *Server) record(effect Effect, by actor) {
	effect.Source, effect.Time = by.source, s.now()
	if by.account != nil {
		effect.Actor = by.account.login
	}
	s.effects = append(s.effects, effect)
}

func (s *Server) countCall(r *route, out rendered) {
	key := "unknown"
	if r != nil {
		key = r.String()
	}
	s.countAs(key, out)
}

func (s *Server) countAs(key string, out rendered) {
	count := s.calls[key]
	count.Total++
	if out.charged {
		count.Charged++
	}
	if out.status == http.StatusNotModified {
		count.NotModified++
	}
	if out.status >= http.StatusBadRequest {
		count.Refused++
	}
	s.calls[key] = count
}
