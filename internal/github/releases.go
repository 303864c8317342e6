// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"context"

	gogithub "github.com/google/go-github/v92/github"
)

const (
	tagsPrefix = "tags/"
	// maxTagPages bounds the listing of tags; the tags of releases that are not in it are asked for one by one.
	maxTagPages = 3
	// maxTagDepth bounds tags of tags of tags.
	maxTagDepth = 5
)

// Releases gives the published releases, newest first, with the commits that their tags point at. Drafts are left out:
// they have no tag yet, and readers do not see them. Beyond [Options.MaxReleases] older ones are left out, too.
func (c *Client) Releases(ctx context.Context) ([]Release, error) {
	sdk, owner, name := c.sdk()
	listed, _, err := sdk.Repositories.ListReleases(ctx, owner, name, &gogithub.ListOptions{PerPage: c.clients.options.MaxReleases})
	if err != nil {
		return nil, c.explain(ctx, err, "listing the releases")
	}
	published := make([]Release, 0, len(listed))
	for _, release := range listed {
		if !release.GetDraft() {
			published = append(published, releaseFrom(release))
		}
	}
	if len(published) == 0 {
		return nil, nil
	}
	commits, err := c.tagCommits(ctx, published)
	if err != nil {
		return nil, err
	}
	for i := range published {
		sha := commits[published[i].Tag]
		if sha == "" {
			continue
		}
		published[i].TagFound = true
		if published[i].Commit, err = c.Commit(ctx, sha); err != nil {
			return nil, err
		}
	}
	return published, nil
}

func releaseFrom(release *gogithub.RepositoryRelease) Release {
	return Release{
		ID:          release.GetID(),
		Tag:         release.GetTagName(),
		Name:        release.GetName(),
		URL:         release.GetHTMLURL(),
		Prerelease:  release.GetPrerelease(),
		Target:      release.GetTargetCommitish(),
		PublishedAt: release.GetPublishedAt().Time,
	}
}

// tagCommits gives the commit of each release's tag. The listing of tags has them peeled, a hundred in one request; it
// is not in order of time, so that tags which its first pages lack are asked for one by one.
func (c *Client) tagCommits(ctx context.Context, releases []Release) (map[string]string, error) {
	sdk, owner, name := c.sdk()
	listed, truncated, err := listAll(maxTagPages, func(page gogithub.ListOptions) ([]*gogithub.RepositoryTag, *gogithub.Response, error) {
		return sdk.Repositories.ListTags(ctx, owner, name, &page)
	})
	// The releases could be listed, so that "not found" means a server that has no listing of tags.
	err = c.explain(ctx, err, "listing the tags")
	unlisted := IsNotFound(err)
	if err != nil && !unlisted {
		return nil, err
	}
	commits := make(map[string]string, len(listed))
	for _, tag := range listed {
		commits[tag.GetName()] = tag.GetCommit().GetSHA()
	}
	if !truncated && !unlisted {
		return commits, nil
	}
	for _, release := range releases {
		if _, ok := commits[release.Tag]; ok {
			continue
		}
		if commits[release.Tag], err = c.Tag(ctx, release.Tag); err != nil {
			return nil, err
		}
	}
	return commits, nil
}

// Tag asks which commit a tag points at, now, with annotated tags peeled; "" when there is no such tag or it points at
// something else than a commit.
func (c *Client) Tag(ctx context.Context, tag string) (string, error) {
	ref, err := c.lookUpRef(ctx, tagsPrefix+tag)
	if err != nil || ref == nil {
		return "", err
	}
	object := ref.GetObject()
	sdk, owner, name := c.sdk()
	for range maxTagDepth {
		if object.GetType() != "tag" {
			break
		}
		annotated, _, err := sdk.Git.GetTag(ctx, owner, name, object.GetSHA())
		if err != nil {
			return "", c.explain(ctx, err, "reading the annotated tag %s", tag)
		}
		object = annotated.GetObject()
	}
	if object.GetType() != "commit" {
		return "", nil
	}
	return object.GetSHA(), nil
}
