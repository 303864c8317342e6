// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// githubHost is the host of the public GitHub, and publicAPIURL its REST root.
const (
	githubHost   = "github.com"
	publicAPIURL = "https://api.github.com"
)

// Owners and names as GitHub allows them; owners of Enterprise Managed Users carry an underscore.
var (
	ownerPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)
	namePattern  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
)

// Repository identifies one repository behind one API root. It is comparable; GitHub's names are case-insensitive, so
// compare [Repository.Key] and not the struct when case may differ. Make one with [ParseURL].
type Repository struct {
	// APIURL is the REST root without a trailing slash, such as https://api.github.com or https://ghe.example.com/api/v3.
	APIURL string
	// Host is the host of the repository's web and Git address, lower case, with its port if it has one.
	Host string
	// Owner is the user or organisation, as written.
	Owner string
	// Name is the repository's name without ".git", as written.
	Name string
}

// FullName is owner/name, as GitHub writes it.
func (r Repository) FullName() string { return r.Owner + "/" + r.Name }

// String is host/owner/name.
func (r Repository) String() string { return r.Host + "/" + r.FullName() }

// Key is host/owner/name in lower case: the same for every spelling of one repository. Webhook events have the same
// key ([Event.Key]), whatever API root is used.
func (r Repository) Key() string { return repositoryKey(r.Host, r.FullName()) }

func repositoryKey(host, fullName string) string {
	return strings.ToLower(host + "/" + fullName)
}

// URLError says what is wrong with an address and how to mend it.
type URLError struct {
	// Field is "url", "apiURL" or the Secret's key, as the reader wrote it.
	Field string
	// Reason is the rest of the sentence.
	Reason string
}

// Error is one sentence for a condition.
func (e *URLError) Error() string { return e.Field + " " + e.Reason }

// ParseURL reads a repository's address, https://HOST/OWNER/NAME with or without ".git". The REST root is apiURL, else
// githubAppBaseURL (from the Secret; see [Credential.APIURL]), else https://api.github.com for github.com and
// SCHEME://HOST/api/v3 for any other host (GitHub Enterprise Server). Errors are [*URLError].
func ParseURL(repoURL, apiURL, githubAppBaseURL string) (Repository, error) {
	const field = "url"
	const example = "write it as https://github.com/OWNER/NAME"

	if strings.HasPrefix(repoURL, "git@") || strings.HasPrefix(repoURL, "ssh://") {
		return Repository{}, &URLError{field, "is an SSH address, but GitHub's API is reached over HTTPS: " + example}
	}
	u, err := parseHTTPURL(field, repoURL)
	if err != nil {
		return Repository{}, err
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return Repository{}, &URLError{field, "has a query or a fragment: " + example}
	}
	segments := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(segments) != 2 {
		return Repository{}, &URLError{field, fmt.Sprintf("has the path %q, but a repository is OWNER/NAME: %s", u.Path, example)}
	}
	repo := Repository{Host: strings.ToLower(u.Host), Owner: segments[0], Name: strings.TrimSuffix(segments[1], ".git")}
	if repo.Host == "www."+githubHost {
		repo.Host = githubHost
	}
	if !ownerPattern.MatchString(repo.Owner) {
		return Repository{}, &URLError{field, fmt.Sprintf("names the owner %q, which GitHub does not allow: %s", repo.Owner, example)}
	}
	if !namePattern.MatchString(repo.Name) || repo.Name == "." || repo.Name == ".." {
		return Repository{}, &URLError{field, fmt.Sprintf("names the repository %q, which GitHub does not allow: %s", repo.Name, example)}
	}
	repo.APIURL, err = apiRoot(u.Scheme, repo.Host, apiURL, githubAppBaseURL)
	return repo, err
}

// apiRoot chooses the REST root: what is said explicitly wins over the Secret, and the host decides otherwise.
func apiRoot(scheme, host, apiURL, githubAppBaseURL string) (string, error) {
	switch {
	case apiURL != "":
		return parseAPIURL("apiURL", apiURL)
	case githubAppBaseURL != "":
		return parseAPIURL(keyAppBaseURL, githubAppBaseURL)
	case host == githubHost:
		return publicAPIURL, nil
	default:
		return scheme + "://" + host + "/api/v3", nil
	}
}

// parseAPIURL checks a REST root and gives it without a trailing slash.
func parseAPIURL(field, raw string) (string, error) {
	u, err := parseHTTPURL(field, raw)
	if err != nil {
		return "", err
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return "", &URLError{field, "has a query or a fragment: write the REST root alone, such as https://ghe.example.com/api/v3"}
	}
	if strings.EqualFold(u.Host, githubHost) || strings.EqualFold(u.Host, "www."+githubHost) {
		return "", &URLError{field, "is GitHub's web site and not its API: write " + publicAPIURL + ", or leave it out"}
	}
	u.Host = strings.ToLower(u.Host)
	return strings.TrimRight(u.String(), "/"), nil
}

// parseHTTPURL parses an absolute http or https address without credentials. The address is not repeated in errors when
// it may hold a password.
func parseHTTPURL(field, raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, &URLError{field, "cannot be read as an address: write it as https://HOST/PATH"}
	}
	if u.User != nil {
		return nil, &URLError{field, "holds a user name or password: put those into the Secret and write the address without them"}
	}
	if (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return nil, &URLError{field, fmt.Sprintf("is %q, but an address that begins with https:// is needed", raw)}
	}
	return u, nil
}

// Info says what GitHub knows about the repository, under whatever name it has now.
func (c *Client) Info(ctx context.Context) (RepositoryInfo, error) {
	sdk, owner, name := c.sdk()
	found, _, err := sdk.Repositories.Get(ctx, owner, name)
	if err == nil && found.GetFullName() == "" {
		err = errIncomplete
	}
	if err != nil {
		return RepositoryInfo{}, explain(ctx, "reading the repository "+c.repo.FullName(), err)
	}
	return RepositoryInfo{
		FullName:      found.GetFullName(),
		Moved:         repositoryKey(c.repo.Host, found.GetFullName()) != c.repo.Key(),
		URL:           found.GetHTMLURL(),
		DefaultBranch: found.GetDefaultBranch(),
		Archived:      found.GetArchived(),
	}, nil
}
