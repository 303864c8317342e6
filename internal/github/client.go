// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	gogithub "github.com/google/go-github/v92/github"
)

// Client speaks about one repository with one credential. It is safe for concurrent use and cheap to make
// ([Clients.For]). Every error is one of this package's typed errors, or the context's.
type Client struct {
	clients *Clients
	shared  *connection
	repo    Repository
}

// Invalidate makes what is remembered about the repository old. Every write of this client does it by itself, but not
// commit statuses: nothing that is remembered follows from them.
func (c *Client) Invalidate() { c.clients.InvalidateKey(c.repo.Key()) }

// key names something of this repository as this credential sees it.
func (c *Client) key(parts ...string) string {
	return c.shared.key + " " + c.repo.Key() + " " + strings.Join(parts, " ")
}

// sdk gives GitHub's Go client with the repository's coordinates, in the order in which its methods take them.
func (c *Client) sdk() (sdk *gogithub.Client, owner, name string) {
	return c.shared.sdk, c.repo.Owner, c.repo.Name
}

// doing names a call for its error: "reading branch main of acme/podinfo".
func (c *Client) doing(format string, args ...any) string {
	return fmt.Sprintf(format, args...) + " of " + c.repo.FullName()
}

// shaPattern is a full object name, of SHA-1 or SHA-256.
var shaPattern = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)

// checkSHA refuses what is not a full commit SHA: abbreviations and branches move, and answers are kept for good.
func checkSHA(sha string) error {
	if !shaPattern.MatchString(sha) {
		return fmt.Errorf("%q is not a full commit SHA", bounded(sha))
	}
	return nil
}

// listAll reads page after page, up to a number of them, and says whether there were more.
func listAll[T any](pages int, page func(gogithub.ListOptions) ([]T, *gogithub.Response, error)) (all []T, truncated bool, err error) {
	options := gogithub.ListOptions{PerPage: pageSize, Page: 1}
	for range pages {
		items, resp, err := page(options)
		if err != nil {
			return nil, false, err
		}
		all = append(all, items...)
		if resp.NextPage == 0 {
			return all, false, nil
		}
		options.Page = resp.NextPage
	}
	return all, true, nil
}

// ignoreNotFound is for reads whose "no" is an answer.
func ignoreNotFound(err error) error {
	if IsNotFound(err) {
		return nil
	}
	return err
}

// explain wraps the error of a call.
func (c *Client) explain(ctx context.Context, err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return explain(ctx, c.doing(format, args...), err)
}
