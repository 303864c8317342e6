package github

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// pullJSON is a pull request of the repository as GitHub writes it.
func pullJSON(number int, head, repo string, merged bool) map[string]any {
	pull := map[string]any{
		"number": number, "state": "open", "title": "t",
		"head":   map[string]any{"ref": head, "sha": shaA, "repo": map[string]string{"full_name": repo}},
		"base":   map[string]any{"ref": "main", "sha": shaB, "repo": map[string]string{"full_name": "acme/podinfo"}},
		"labels": []map[string]string{{"name": "Promotion"}}, "merge_commit_sha": shaC, "commits": 2,
	}
	if merged {
		pull["state"], pull["merged_at"], pull["merged"] = "closed", "2026-03-02T09:00:00Z", true
		pull["merged_by"] = map[string]string{"login": "jane"}
	}
	return pull
}

func TestATestMergeIsNoMergeCommit(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, pullJSON(7, "x", "acme/podinfo", false)) })
	pull, err := server.client(t, Options{}).GetPullRequest(testContext(t), 7)
	if err != nil || pull.State != PullRequestOpen || pull.MergeCommit != "" {
		t.Errorf("got %+v, %v", pull, err)
	}
}

func TestForksAndStrangersAreNotOurs(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.Query().Get("head"); got != "acme:mainstem/x/main" {
			t.Errorf("asked for the head %q", got)
		}
		writeJSON(w, []any{
			pullJSON(3, "mainstem/x/main", "acme/podinfo-fork", false),
			pullJSON(2, "somebody/else", "acme/podinfo", false),
			pullJSON(1, "mainstem/x/main", "acme/podinfo", false),
		})
	})
	found, err := server.client(t, Options{}).FindPullRequests(testContext(t), "mainstem/x/main", "main")
	if err != nil || len(found) != 1 || found[0].Number != 1 {
		t.Errorf("got %+v, %v", found, err)
	}
}

func TestListsArePaged(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		page := r.URL.Query().Get("page")
		if page != "9" {
			w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=%d>; rel="next"`, r.Host, r.URL.Path, len(page)+int(page[0]-'0')))
		}
		writeJSON(w, []any{pullJSON(int(page[0]-'0'), "x", "acme/podinfo", false)})
	})
	found, err := server.client(t, Options{}).FindPullRequests(testContext(t), "x", "main")
	if err != nil || len(found) != maxPullPages {
		t.Errorf("got %d of an endless list, %v; want %d pages", len(found), err, maxPullPages)
	}
}

func TestAPullRequestThatAppearsMeanwhileIsTaken(t *testing.T) {
	listed := 0
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/pulls"):
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = fmt.Fprint(w, `{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom","message":"A pull request already exists for acme:x."}]}`)
		case r.Method == http.MethodGet && listed == 0:
			listed++
			writeJSON(w, []any{})
		case r.Method == http.MethodGet:
			writeJSON(w, []any{pullJSON(7, "x", "acme/podinfo", false)})
		default:
			t.Errorf("%s %s", r.Method, r.URL.Path)
		}
	})
	opened, err := server.client(t, Options{}).OpenPullRequest(testContext(t), NewPullRequest{Title: "t", Head: "x", Base: "main", Labels: []string{"promotion"}})
	if err != nil || opened.Created || opened.PullRequest.Number != 7 {
		t.Errorf("got %+v, %v", opened, err)
	}
}

func TestAPullRequestOutlivesItsLabelsAndReviewers(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet: // pull requests, then reviews
			writeJSON(w, []any{})
		case strings.HasSuffix(r.URL.Path, "/pulls"):
			w.WriteHeader(http.StatusCreated)
			writeJSON(w, pullJSON(7, "x", "acme/podinfo", false))
		default:
			status(http.StatusUnprocessableEntity, "no: "+r.URL.Path)(w, r)
		}
	})
	opened, err := server.client(t, Options{}).OpenPullRequest(testContext(t), NewPullRequest{
		Title: "t", Head: "x", Base: "main", Labels: []string{"new"}, Reviewers: []string{"jane"},
	})
	if err != nil || !opened.Created || opened.PullRequest.Number != 7 {
		t.Fatalf("got %+v, %v", opened, err)
	}
	for _, what := range []string{"labels", "requested_reviewers"} {
		if opened.Incomplete == nil || !strings.Contains(opened.Incomplete.Error(), what) {
			t.Errorf("%v does not tell of the %s", opened.Incomplete, what)
		}
	}
}

// Whoever opened a pull request may have died before it asked for reviews: they are asked for when it is found.
func TestReviewersAreAskedOnceEach(t *testing.T) {
	tests := map[string]struct {
		asked, gave []string
		wanted      string
	}{
		"nobody was asked":   {nil, nil, `{"reviewers":["jane","joe"],"team_reviewers":["ops"]}`},
		"some are asked":     {[]string{"Jane"}, nil, `{"reviewers":["joe"],"team_reviewers":["ops"]}`},
		"some have reviewed": {[]string{"joe"}, []string{"Jane", "somebody"}, ""},
		"one has reviewed":   {nil, []string{"jane"}, `{"reviewers":["joe"]}`},
		"everybody is asked": {[]string{"jane", "joe", "ops"}, nil, ""},
		"everybody reviewed": {nil, []string{"jane", "joe"}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			asked := ""
			pull := pullJSON(7, "x", "acme/podinfo", false)
			var users, teams, reviews []any
			for _, name := range test.asked {
				if name == "ops" {
					teams = append(teams, map[string]any{"slug": name})
				} else {
					users = append(users, map[string]any{"login": name})
				}
			}
			for _, name := range test.gave {
				reviews = append(reviews, map[string]any{"user": map[string]any{"login": name}, "state": "APPROVED"})
			}
			pull["requested_reviewers"], pull["requested_teams"] = users, teams
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/reviews"):
					writeJSON(w, reviews)
				case r.Method == http.MethodGet:
					writeJSON(w, []any{pull})
				case strings.HasSuffix(r.URL.Path, "/requested_reviewers"):
					body, _ := io.ReadAll(r.Body) // compared below
					asked = strings.TrimSpace(string(body))
					writeJSON(w, pull)
				default:
					t.Errorf("%s %s", r.Method, r.URL.Path)
				}
			})
			opened, err := server.client(t, Options{}).OpenPullRequest(testContext(t), NewPullRequest{
				Title: "t", Head: "x", Base: "main", Reviewers: []string{"jane", "joe"}, TeamReviewers: []string{"ops"},
			})
			if err != nil || opened.Created || opened.Incomplete != nil || asked != test.wanted {
				t.Errorf("asked %q (%v, %v), want %q", asked, err, opened.Incomplete, test.wanted)
			}
		})
	}
}

func TestMergesIntoOtherBranchesAreFound(t *testing.T) {
	// GitHub's index from commits to pull requests knows the default branch only.
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/commits/"+shaC+"/pulls"):
			writeJSON(w, []any{pullJSON(8, "other", "acme/podinfo", false)})
		case strings.HasSuffix(r.URL.Path, "/commits/"+shaD+"/pulls"):
			writeJSON(w, []any{})
		case strings.HasSuffix(r.URL.Path, "/pulls"):
			if query := r.URL.Query(); query.Get("state") != "closed" || query.Get("base") != "main" || query.Get("sort") != "updated" {
				t.Errorf("asked for %s", r.URL.RawQuery)
			}
			writeJSON(w, []any{pullJSON(7, "x", "acme/podinfo", true)})
		default:
			writeJSON(w, pullJSON(7, "x", "acme/podinfo", true))
		}
	})
	client := server.client(t, Options{})
	for range 2 {
		pull, err := client.PullRequestOfCommit(testContext(t), shaC, "main")
		if err != nil || pull == nil || pull.Number != 7 || pull.MergedBy != "jane" {
			t.Fatalf("got %+v, %v", pull, err)
		}
	}
	if got := server.count(""); got != 3 {
		t.Errorf("%d requests: a merge is final", got)
	}
	if pull, err := client.PullRequestOfCommit(testContext(t), shaD, "main"); err != nil || pull != nil {
		t.Errorf("got %+v, %v for a commit that was pushed", pull, err)
	}
}

// gitJSON is a commit as the Git API writes it, listJSON as lists write it.
func gitJSON(sha, author, message string, parents ...string) map[string]any {
	shas := []map[string]string{}
	for _, parent := range parents {
		shas = append(shas, map[string]string{"sha": parent})
	}
	return map[string]any{
		"sha": sha, "tree": map[string]string{"sha": sha}, "parents": shas, "message": message,
		"author": map[string]string{"name": author, "date": "2026-03-02T09:00:00Z"},
	}
}

func listJSON(commit map[string]any) map[string]any {
	return map[string]any{"sha": commit["sha"], "commit": commit, "parents": commit["parents"]}
}

func TestBaseSide(t *testing.T) {
	const base, one, two, merge = shaA, shaB, shaC, shaD
	mine := func(sha, message string, parents ...string) map[string]any {
		return gitJSON(sha, "jane", message, parents...)
	}
	replayedOne, replayedTwo := strings.Repeat("1", 40), strings.Repeat("2", 40)
	commits := []any{listJSON(mine(one, "One", shaA)), listJSON(mine(two, "Two", one))}
	for _, tc := range []struct {
		name    string
		history []map[string]any
		commits []any
		merge   string
		want    string
	}{
		{"a merge commit", []map[string]any{mine(merge, "Merge", base, two)}, commits, merge, base},
		{"a merge commit made the other way round", []map[string]any{mine(merge, "Merge", two, base)}, commits, merge, base},
		{"a merge of something else", []map[string]any{mine(merge, "Merge", base, one)}, commits, merge, ""},
		{"a squash", []map[string]any{gitJSON(merge, "jane", "One (#7)", base)}, commits, merge, base},
		{"a squash of one commit", []map[string]any{mine(merge, "Two", base)}, commits[1:], merge, base},
		{"a rebase", []map[string]any{mine(replayedTwo, "Two", replayedOne), mine(replayedOne, "One", base)}, commits, replayedTwo, base},
		{"a rebase of commits with a merge in between", []map[string]any{mine(replayedTwo, "Two", replayedOne), mine(replayedOne, "One", base)},
			append([]any{listJSON(mine(merge, "Merge main", one, base))}, commits...), replayedTwo, base},
		{"a squash that repeats the last message", []map[string]any{mine(merge, "Two", base), mine(base, "Before", replayedOne)}, commits, merge, base},
		{"a fast-forward", []map[string]any{mine(two, "Two", one), mine(one, "One", base)}, commits, two, base},
		{"a fast-forward with a merge in between", []map[string]any{mine(two, "Two", one), mine(one, "One", base)},
			append([]any{listJSON(mine(merge, "Merge main", one, base))}, commits...), two, ""},
		{"a root", []map[string]any{mine(merge, "Everything")}, nil, merge, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				for _, commit := range tc.history {
					if strings.HasSuffix(r.URL.Path, fmt.Sprint("/git/commits/", commit["sha"])) {
						writeJSON(w, commit)
						return
					}
				}
				if !strings.HasSuffix(r.URL.Path, "/pulls/7/commits") {
					t.Errorf("asked for %s", r.URL.Path)
				}
				writeJSON(w, tc.commits)
			})
			pull := PullRequest{Number: 7, State: PullRequestMerged, MergeCommit: tc.merge, Head: PullRequestSide{SHA: two}}
			got, err := server.client(t, Options{}).BaseSide(testContext(t), pull)
			if got != tc.want || errors.Is(err, ErrNoBaseSide) != (tc.want == "") {
				t.Errorf("got %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

func TestOnlyTheNewestRunOfANameCounts(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/status") {
			writeJSON(w, map[string]any{"statuses": []any{
				map[string]string{"context": "legacy", "state": "error"},
				map[string]string{"context": "mainstem/main", "state": "pending"},
			}})
			return
		}
		run := func(id int, name, status, conclusion string) map[string]any {
			return map[string]any{"id": id, "name": name, "status": status, "conclusion": conclusion}
		}
		writeJSON(w, map[string]any{"check_runs": []any{
			run(5, "build", "completed", "failure"), run(9, "build", "queued", ""), run(2, "test", "completed", "success"),
			run(1, "test", "completed", "failure"), run(3, "lint", "completed", "something_new"), run(4, "docs", "completed", "skipped"),
			run(6, "e2e", "completed", "neutral"), run(7, "old", "completed", "stale"), run(8, "slow", "completed", "timed_out"), run(10, "off", "completed", "cancelled"),
		}})
	})
	checks, err := server.client(t, Options{}).Checks(testContext(t), ChecksRequest{SHA: shaA, IgnorePrefix: "mainstem/"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]CheckState{}
	for _, check := range checks.Items {
		got[check.Name] = check.State
	}
	want := map[string]CheckState{
		"build": CheckPending, "test": CheckSuccess, "lint": CheckFailure, "docs": CheckSkipped, "e2e": CheckNeutral,
		"old": CheckFailure, "slow": CheckFailure, "off": CheckCancelled, "legacy": CheckFailure,
	}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	for name, state := range want {
		if got[name] != state {
			t.Errorf("%s is %q, want %q", name, got[name], state)
		}
	}
}
