package github

// repository is the prefix of most operations, as in GitHub's description.
const repository = "/repos/{owner}/{repo}"

// routes are the operations of the API; the first that matches serves, so a path
// that goes on after a ref comes before the one that ends with it.
var routes []*route

func init() { //nolint:gochecknoinits // the handlers refer to the table: a plain initializer would be a cycle
	jwt := need{jwt: true}
	routes = []*route{
		newRoute("GET /rate_limit", need{}, getRateLimit),
		newRoute("GET /user", need{credentials: true}, getUser),
		newRoute("GET /app", jwt, getApp),
		newRoute("GET /app/installations", jwt, listInstallations),
		newRoute("GET /app/installations/{installation_id}", jwt, getInstallation),
		newRoute("POST /app/installations/{installation_id}/access_tokens", jwt, createInstallationToken),
		newRoute("GET /orgs/{org}/installation", jwt, getOrganizationInstallation),
		newRoute("GET /users/{username}/installation", jwt, getUserInstallation),
		newRoute("GET "+repository+"/installation", jwt, getRepositoryInstallation),

		newRoute("GET "+repository, reads("metadata"), getRepository),
		newRoute("GET "+repository+"/branches", reads("contents"), listBranches),
		newRoute("GET "+repository+"/branches/{branch}/protection", guarded("administration"), getProtection),
		newRoute("PUT "+repository+"/branches/{branch}/protection", writes("administration"), putProtection),
		newRoute("DELETE "+repository+"/branches/{branch}/protection", writes("administration"), deleteProtection),
		newRoute("GET "+repository+"/branches/{branch}", reads("contents"), getBranch),
		newRoute("GET "+repository+"/rules/branches/{branch}", reads("metadata"), listRules),

		newRoute("GET "+repository+"/commits", reads("contents"), listCommits),
		newRoute("GET "+repository+"/commits/{ref}/check-runs", reads("checks"), listCheckRuns),
		newRoute("GET "+repository+"/commits/{ref}/check-suites", reads("checks"), listCheckSuites),
		newRoute("GET "+repository+"/commits/{ref}/status", reads("statuses"), getCombinedStatus),
		newRoute("GET "+repository+"/commits/{ref}/statuses", reads("statuses"), listStatuses),
		newRoute("GET "+repository+"/commits/{commit_sha}/pulls", reads("pull_requests"), listCommitPulls),
		newRoute("GET "+repository+"/commits/{ref}", reads("contents"), getCommit),
		newRoute("GET "+repository+"/compare/{basehead}", reads("contents"), compareCommits),
		newRoute("POST "+repository+"/statuses/{sha}", writes("statuses"), createStatus),
		newRoute("POST "+repository+"/check-runs", writes("checks"), createCheckRun),
		newRoute("GET "+repository+"/check-runs/{check_run_id}", reads("checks"), getCheckRun),
		newRoute("PATCH "+repository+"/check-runs/{check_run_id}", writes("checks"), updateCheckRun),

		newRoute("GET "+repository+"/releases", reads("contents"), listReleases),
		newRoute("POST "+repository+"/releases", writes("contents"), createReleaseCall),
		newRoute("GET "+repository+"/releases/latest", reads("contents"), getLatestRelease),
		newRoute("GET "+repository+"/releases/tags/{tag}", reads("contents"), getReleaseByTag),
		newRoute("GET "+repository+"/releases/{release_id}", reads("contents"), getRelease),
		newRoute("PATCH "+repository+"/releases/{release_id}", writes("contents"), updateReleaseCall),
		newRoute("DELETE "+repository+"/releases/{release_id}", writes("contents"), deleteReleaseCall),

		newRoute("GET "+repository+"/git/ref/{ref}", reads("contents"), getRef),
		newRoute("GET "+repository+"/git/matching-refs/{ref}", reads("contents"), listMatchingRefs),
		newRoute("POST "+repository+"/git/refs", writes("contents"), createRef),
		newRoute("PATCH "+repository+"/git/refs/{ref}", writes("contents"), updateRef),
		newRoute("DELETE "+repository+"/git/refs/{ref}", writes("contents"), deleteRef),
		newRoute("GET "+repository+"/git/tags/{tag_sha}", reads("contents"), getGitTag),
		newRoute("GET "+repository+"/git/commits/{commit_sha}", reads("contents"), getGitCommit),
		newRoute("GET "+repository+"/git/trees/{tree_sha}", reads("contents"), getTree),

		newRoute("GET "+repository+"/pulls", reads("pull_requests"), listPulls),
		newRoute("POST "+repository+"/pulls", writes("pull_requests"), createPull),
		newRoute("GET "+repository+"/pulls/{pull_number}", reads("pull_requests"), getPull),
		newRoute("PATCH "+repository+"/pulls/{pull_number}", writes("pull_requests"), updatePull),
		newRoute("PUT "+repository+"/pulls/{pull_number}/merge", writes("contents"), mergePull),
		newRoute("GET "+repository+"/pulls/{pull_number}/commits", reads("pull_requests"), listPullCommits),
		newRoute("GET "+repository+"/pulls/{pull_number}/files", reads("pull_requests"), listPullFiles),
		newRoute("GET "+repository+"/pulls/{pull_number}/reviews", reads("pull_requests"), listReviews),
		newRoute("POST "+repository+"/pulls/{pull_number}/reviews", writes("pull_requests"), createReview),
		newRoute("POST "+repository+"/pulls/{pull_number}/requested_reviewers", writes("pull_requests"), requestReviewers),
		newRoute("GET "+repository+"/issues/{issue_number}/labels", reads("pull_requests"), listLabels),
		newRoute("POST "+repository+"/issues/{issue_number}/labels", writes("pull_requests"), addLabels),
		newRoute("GET "+repository+"/issues/{issue_number}/comments", reads("pull_requests"), listComments),
		newRoute("POST "+repository+"/issues/{issue_number}/comments", writes("pull_requests"), createComment),

		newRoute("GET "+repository+"/hooks", guarded("repository_hooks"), listHooks),
		newRoute("POST "+repository+"/hooks", writes("repository_hooks"), createHook),
		newRoute("GET "+repository+"/hooks/{hook_id}/deliveries", guarded("repository_hooks"), listHookDeliveries),
	}
}
