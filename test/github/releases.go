package github

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// release is a GitHub release: a tag with notes.
type release struct {
	id                   int64
	tag, target          string
	name, body           string
	draft, prerelease    bool
	latest               bool
	author               *account
	drafted, commitDate  time.Time
	published, updatedAt time.Time
}

// createdAt is the date of the commit once the release is published, as GitHub's is.
func (rel *release) createdAt() time.Time {
	if rel.draft {
		return rel.drafted
	}
	return rel.commitDate
}

// releaseRequest creates or edits a release; nil leaves as it is.
type releaseRequest struct {
	Tag        *string `json:"tag_name"`
	Target     *string `json:"target_commitish"`
	Name       *string `json:"name"`
	Body       *string `json:"body"`
	Draft      *bool   `json:"draft"`
	Prerelease *bool   `json:"prerelease"`
	// MakeLatest is "true", "false" or "legacy".
	MakeLatest string `json:"make_latest"`
}

func (r *Repository) createRelease(asked releaseRequest, by actor) (*release, error) {
	if asked.Tag == nil || *asked.Tag == "" {
		return nil, invalid(FieldError{Resource: "Release", Field: "tag_name", Code: "missing_field"})
	}
	now := r.server.now()
	rel := &release{draft: true, target: r.defaultBranch, author: by.account, drafted: now}
	rel.fill(asked)
	if err := r.checkRelease(rel); err != nil {
		return nil, err
	}
	rel.id, rel.updatedAt = r.server.nextID(), now
	publish := asked.Draft == nil || !*asked.Draft
	if publish {
		if err := r.publish(rel, by); err != nil {
			return nil, err
		}
	}
	r.releases = append(r.releases, rel)
	r.makeLatest(rel, asked.MakeLatest)
	r.server.record(Effect{Kind: ReleaseCreated, Repository: r.fullName(), Ref: tags + rel.tag, Detail: rel.tag}, by)
	r.emitRelease(rel, "created", by)
	if publish {
		r.announce(rel, by)
	}
	return rel, nil
}

func (rel *release) fill(asked releaseRequest) {
	set := func(field *string, value *string) {
		if value != nil {
			*field = *value
		}
	}
	set(&rel.tag, asked.Tag)
	set(&rel.name, asked.Name)
	set(&rel.body, asked.Body)
	if asked.Target != nil && *asked.Target != "" {
		rel.target = *asked.Target
	}
	if asked.Prerelease != nil {
		rel.prerelease = *asked.Prerelease
	}
}

// checkRelease refuses a tag that Git or another release forbids.
func (r *Repository) checkRelease(rel *release) error {
	if !r.validRef(tags + rel.tag) {
		return invalidCustom("Release", "tag_name is not a valid tag")
	}
	for _, other := range r.releases {
		if other != rel && !other.draft && other.tag == rel.tag {
			return invalid(FieldError{Resource: "Release", Field: "tag_name", Code: "already_exists"})
		}
	}
	return nil
}

// publish makes the tag, unless it exists, and dates the release by its commit.
func (r *Repository) publish(rel *release, by actor) error {
	if r.empty() {
		return invalidCustom("Release", "Repository is empty.")
	}
	ref := tags + rel.tag
	var found *commit
	var err error
	if sha := r.refs[ref]; sha != "" {
		found, err = r.peel(sha)
	} else if found, err = r.target(rel.target); err == nil {
		err = r.setRef(ref, found.sha, by)
	}
	if err != nil {
		return err
	}
	rel.draft, rel.commitDate, rel.published = false, found.committer.when, r.server.now()
	return nil
}

// target resolves a target_commitish: a branch or the SHA of a commit.
func (r *Repository) target(name string) (*commit, error) {
	sha := r.refs[heads+name]
	if sha == "" && isSHA(name) {
		sha = name
	}
	if sha != "" {
		if found, err := r.peel(sha); err == nil {
			return found, nil
		}
	}
	return nil, invalid(FieldError{Resource: "Release", Field: "target_commitish", Code: "invalid"})
}

func (r *Repository) announce(rel *release, by actor) {
	r.server.record(Effect{Kind: ReleasePublished, Repository: r.fullName(), Ref: tags + rel.tag, Detail: rel.tag}, by)
	r.emitRelease(rel, "published", by)
	if rel.prerelease {
		r.emitRelease(rel, "prereleased", by)
	} else {
		r.emitRelease(rel, "released", by)
	}
}

// makeLatest applies make_latest: only an explicit "true" pins a release.
func (r *Repository) makeLatest(rel *release, wish string) {
	switch wish {
	case "true":
		for _, other := range r.releases {
			other.latest = false
		}
		rel.latest = true
	case "false", "legacy":
		rel.latest = false
	}
}

// latestRelease is the pinned one, else the full release with the newest commit.
func (r *Repository) latestRelease() *release {
	for _, rel := range r.sortedReleases() {
		if rel.latest && !rel.draft && !rel.prerelease {
			return rel
		}
	}
	for _, rel := range r.sortedReleases() {
		if !rel.draft && !rel.prerelease {
			return rel
		}
	}
	return nil
}

// sortedReleases lists by created_at, newest first.
func (r *Repository) sortedReleases() []*release {
	sorted := slices.Clone(r.releases)
	slices.SortStableFunc(sorted, func(a, b *release) int {
		return cmp.Or(b.createdAt().Compare(a.createdAt()), cmp.Compare(b.id, a.id))
	})
	return sorted
}

func (r *Repository) editRelease(rel *release, asked releaseRequest, by actor) error {
	changed := *rel
	changed.fill(asked)
	if !rel.draft && changed.tag != rel.tag && r.refs[tags+changed.tag] == "" {
		found, err := r.target(changed.target)
		if err != nil {
			return err
		}
		if err := r.setRef(tags+changed.tag, found.sha, by); err != nil {
			return err
		}
	}
	for _, other := range r.releases {
		if other != rel && !other.draft && other.tag == changed.tag {
			return invalid(FieldError{Resource: "Release", Field: "tag_name", Code: "already_exists"})
		}
	}
	publish := rel.draft && asked.Draft != nil && !*asked.Draft
	if publish {
		if err := r.publish(&changed, by); err != nil {
			return err
		}
	}
	*rel = changed
	rel.updatedAt = r.server.now()
	r.makeLatest(rel, asked.MakeLatest)
	r.server.record(Effect{Kind: ReleaseEdited, Repository: r.fullName(), Ref: tags + rel.tag, Detail: rel.tag}, by)
	if publish {
		r.announce(rel, by)
	} else {
		r.emitRelease(rel, "edited", by)
	}
	return nil
}

func (r *Repository) renderRelease(rel *release) object {
	api := fmt.Sprintf("%s/repos/%s/releases/%d", r.server.APIURL(), r.fullName(), rel.id)
	html := r.server.URL() + "/" + r.fullName() + "/releases/tag/" + rel.tag
	body := object{
		"url": api, "assets_url": api + "/assets", "id": rel.id, "node_id": nodeID("Release", rel.id),
		"upload_url": fmt.Sprintf("%s/api/uploads/repos/%s/releases/%d/assets{?name,label}", r.server.URL(), r.fullName(), rel.id),
		"html_url":   html, "author": r.server.renderAccount(rel.author), "tag_name": rel.tag, "target_commitish": rel.target,
		"name": textOrNull(rel.name), "body": rel.body, "draft": rel.draft, "prerelease": rel.prerelease, "immutable": false,
		"created_at": stamp(rel.createdAt()), "updated_at": stamp(rel.updatedAt), "published_at": stampOrNull(rel.published), "assets": []object{},
		"tarball_url": r.server.APIURL() + "/repos/" + r.fullName() + "/tarball/" + rel.tag,
		"zipball_url": r.server.APIURL() + "/repos/" + r.fullName() + "/zipball/" + rel.tag,
	}
	if rel.draft {
		body["html_url"] = fmt.Sprintf("%s/%s/releases/tag/untagged-%020x", r.server.URL(), r.fullName(), rel.id)
		body["tarball_url"], body["zipball_url"] = nil, nil
	}
	return body
}

// showsDrafts says whether the caller may push: nobody else sees drafts.
func (c *call) showsDrafts() bool { return c.who.can(c.repo, "contents", Write) }

func listReleases(c *call) (reply, error) {
	visible := slices.DeleteFunc(c.repo.sortedReleases(), func(rel *release) bool { return rel.draft && !c.showsDrafts() })
	return listed(c, visible, c.repo.renderRelease)
}

func getLatestRelease(c *call) (reply, error) {
	if rel := c.repo.latestRelease(); rel != nil {
		return ok(c.repo.renderRelease(rel))
	}
	return reply{}, notFound()
}

func getReleaseByTag(c *call) (reply, error) {
	for _, rel := range c.repo.releases {
		if !rel.draft && rel.tag == c.vars["tag"] {
			return ok(c.repo.renderRelease(rel))
		}
	}
	return reply{}, notFound()
}

func (c *call) releaseOf() (*release, error) {
	id, err := c.number("release_id")
	if err != nil {
		return nil, err
	}
	for _, rel := range c.repo.releases {
		if rel.id == id && (!rel.draft || c.showsDrafts()) {
			return rel, nil
		}
	}
	return nil, notFound()
}

func getRelease(c *call) (reply, error) {
	rel, err := c.releaseOf()
	if err != nil {
		return reply{}, err
	}
	return ok(c.repo.renderRelease(rel))
}

func createReleaseCall(c *call) (reply, error) {
	asked, err := decode[releaseRequest](c)
	if err != nil {
		return reply{}, err
	}
	rel, err := c.repo.createRelease(asked, c.who.actor())
	if err != nil {
		return reply{}, err
	}
	return created(c.repo.renderRelease(rel))
}

func updateReleaseCall(c *call) (reply, error) {
	rel, err := c.releaseOf()
	if err != nil {
		return reply{}, err
	}
	asked, err := decode[releaseRequest](c)
	if err != nil {
		return reply{}, err
	}
	if err := c.repo.editRelease(rel, asked, c.who.actor()); err != nil {
		return reply{}, err
	}
	return ok(c.repo.renderRelease(rel))
}

func deleteReleaseCall(c *call) (reply, error) {
	rel, err := c.releaseOf()
	if err != nil {
		return reply{}, err
	}
	c.repo.releases = slices.DeleteFunc(c.repo.releases, func(other *release) bool { return other == rel })
	c.record(Effect{Kind: ReleaseDeleted, Repository: c.repo.fullName(), Detail: rel.tag}, c.who.actor())
	c.repo.emitRelease(rel, "deleted", c.who.actor())
	return noContent()
}
