package github

import (
	"net/http"
	"testing"
)

// A tenant chooses the API root, so that any server may answer anything: it must never bring the operator down, nor
// pass for a repository.
func TestAnyAnswerIsSurvived(t *testing.T) {
	calls := map[string]func(*Client) error{
		"Info":     func(c *Client) error { _, err := c.Info(testContext(t)); return err },
		"Branch":   func(c *Client) error { _, err := c.Branch(testContext(t), "main"); return err },
		"Commit":   func(c *Client) error { _, err := c.Commit(testContext(t), shaA); return err },
		"Compare":  func(c *Client) error { _, err := c.Compare(testContext(t), shaA, shaB); return err },
		"Parents":  func(c *Client) error { _, err := c.FirstParents(testContext(t), shaA, 9); return err },
		"Releases": func(c *Client) error { _, err := c.Releases(testContext(t)); return err },
		"Checks":   func(c *Client) error { _, err := c.Checks(testContext(t), ChecksRequest{SHA: shaA}); return err },
		"Pull":     func(c *Client) error { _, err := c.GetPullRequest(testContext(t), 1); return err },
		"Pulls":    func(c *Client) error { _, err := c.FindPullRequests(testContext(t), "a", "b"); return err },
		"PullOf":   func(c *Client) error { _, err := c.PullRequestOfCommit(testContext(t), shaA, "main"); return err },
		"Open": func(c *Client) error {
			_, err := c.OpenPullRequest(testContext(t), NewPullRequest{Title: "x", Head: "a", Base: "b", Labels: []string{"l"}, Reviewers: []string{"r"}})
			return err
		},
		"Update": func(c *Client) error { _, err := c.UpdatePullRequest(testContext(t), 1, "a", "b"); return err },
		"Merge": func(c *Client) error {
			_, err := c.MergePullRequest(testContext(t), MergeRequest{Number: 1, HeadSHA: shaA})
			return err
		},
		"BaseSide": func(c *Client) error {
			_, err := c.BaseSide(testContext(t), PullRequest{Number: 1, State: PullRequestMerged, MergeCommit: shaA})
			return err
		},
		"Ensure": func(c *Client) error { return c.EnsureBranch(testContext(t), "a", shaA) },
		"Delete": func(c *Client) error { return c.DeleteBranch(testContext(t), "a", shaA) },
		"Status": func(c *Client) error {
			_, err := c.EnsureStatus(testContext(t), shaA, Status{Context: "x", State: StatusSuccess})
			return err
		},
		"Tag": func(c *Client) error { _, err := c.Tag(testContext(t), "v1"); return err },
	}
	// An answer that is a list has nothing that must be there.
	lists := map[string]bool{"Releases": true, "Checks": true, "Pulls": true, "PullOf": true, "Status": true, "Parents": false}
	for _, answer := range []string{`null`, `{}`, `[]`, `[null]`, `[{}]`, `{"check_runs":[null],"statuses":[null]}`, `{"commit":null,"parents":[null],"tree":null}`, `{"object":null}`, ``, `7`} {
		for name, call := range calls {
			for _, code := range []int{http.StatusOK, http.StatusCreated} {
				server := serve(t, func(w http.ResponseWriter, r *http.Request) {
					w.WriteHeader(code)
					body(answer)(w, r)
				})
				err := call(server.client(t, Options{}))
				if !lists[name] && err == nil {
					t.Errorf("%s took %q for an answer", name, answer)
				}
				server.Close()
			}
		}
	}
}
