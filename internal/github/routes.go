// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import "strings"

// otherRoute is what is not in routes.
const otherRoute = "other"

// routes are the paths that this package asks for, as GitHub's documentation writes them. A last segment that ends in
// "..." takes the rest of the path.
var routes = splitRoutes(
	"/app/installations/{installation_id}/access_tokens",
	"/orgs/{org}/installation",
	"/users/{username}/installation",
	"/repositories/{id}/{rest...}",
	"/repositories/{id}",
	"/repos/{owner}/{repo}",
	"/repos/{owner}/{repo}/branches/{branch...}",
	"/repos/{owner}/{repo}/commits",
	"/repos/{owner}/{repo}/commits/{commit_sha}/check-runs",
	"/repos/{owner}/{repo}/commits/{commit_sha}/pulls",
	"/repos/{owner}/{repo}/commits/{commit_sha}/status",
	"/repos/{owner}/{repo}/compare/{basehead...}",
	"/repos/{owner}/{repo}/git/commits/{commit_sha}",
	"/repos/{owner}/{repo}/git/ref/{ref...}",
	"/repos/{owner}/{repo}/git/refs",
	"/repos/{owner}/{repo}/git/refs/{ref...}",
	"/repos/{owner}/{repo}/git/tags/{tag_sha}",
	"/repos/{owner}/{repo}/issues/{issue_number}/labels",
	"/repos/{owner}/{repo}/pulls",
	"/repos/{owner}/{repo}/pulls/{pull_number}",
	"/repos/{owner}/{repo}/pulls/{pull_number}/commits",
	"/repos/{owner}/{repo}/pulls/{pull_number}/merge",
	"/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers",
	"/repos/{owner}/{repo}/pulls/{pull_number}/reviews",
	"/repos/{owner}/{repo}/releases",
	"/repos/{owner}/{repo}/statuses/{sha}",
	"/repos/{owner}/{repo}/tags",
)

func splitRoutes(templates ...string) [][]string {
	split := make([][]string, 0, len(templates))
	for _, template := range templates {
		split = append(split, strings.Split(strings.TrimPrefix(template, "/"), "/"))
	}
	return split
}

// routeOf names the route of a request, from a bounded set: fit for the label of a metric.
func routeOf(method, path, root string) string {
	segments := strings.Split(strings.Trim(strings.TrimPrefix(path, root), "/"), "/")
	for _, route := range routes {
		if matchesRoute(route, segments) {
			return method + " /" + strings.ReplaceAll(strings.Join(route, "/"), "...", "")
		}
	}
	return method + " " + otherRoute
}

func matchesRoute(route, segments []string) bool {
	for i, want := range route {
		if strings.HasSuffix(want, "...}") {
			return len(segments) > i
		}
		if i >= len(segments) || (want[0] != '{' && want != segments[i]) {
			return false
		}
	}
	return len(route) == len(segments)
}
