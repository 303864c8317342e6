package github

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v92/github"
)

func refJSON(w http.ResponseWriter, kind, sha string) {
	_, _ = fmt.Fprintf(w, `{"ref":"x","object":{"type":%q,"sha":%q}}`, kind, sha)
}

// A branch that somebody creates between our look and our write.
func TestABranchThatAppearsMeanwhile(t *testing.T) {
	for appeared, want := range map[string]bool{shaA: true, shaB: false} {
		looks := 0
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodPost:
				status(http.StatusUnprocessableEntity, "Reference already exists")(w, r)
			case r.Method != http.MethodGet:
				t.Errorf("%s %s", r.Method, r.URL.Path)
			case looks == 0:
				looks++
				status(http.StatusNotFound, "Not Found")(w, r)
			default:
				refJSON(w, "commit", appeared)
			}
		})
		err := server.client(t, Options{}).EnsureBranch(testContext(t), headBranch, shaA)
		var moved *BranchMovedError
		if (err == nil) != want || !want && (!errors.As(err, &moved) || moved.Actual != shaB) {
			t.Errorf("at %s: got %v", appeared, err)
		}
	}
}

// A branch that somebody deletes between our look and our write.
func TestABranchThatDisappearsMeanwhile(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			status(http.StatusUnprocessableEntity, "Reference does not exist")(w, r)
			return
		}
		refJSON(w, "commit", shaA)
	})
	if err := server.client(t, Options{}).DeleteBranch(testContext(t), headBranch, shaA); err != nil {
		t.Error(err)
	}
}

// GitHub looks at the head's checks before it looks at the sha that it was given.
func TestARefusedMergeOfAMovedHeadIsHeadMoved(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			status(http.StatusMethodNotAllowed, "Required status check is expected.")(w, r)
			return
		}
		writeJSON(w, pullJSON(7, "x", "acme/podinfo", false))
	})
	client := server.client(t, Options{})
	for head, want := range map[string]MergeOutcome{shaA: NotMergeable, shaD: HeadMoved} {
		result, err := client.MergePullRequest(testContext(t), MergeRequest{Number: 7, HeadSHA: head})
		if err != nil || result.Outcome != want || result.HeadSHA != shaA {
			t.Errorf("of %s: got %+v, %v; want %s", head, result, err, want)
		}
	}
}

func TestTagsArePeeledAndCounted(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case strings.HasSuffix(path, "/releases"):
			_, _ = fmt.Fprint(w, `[{"id":1,"tag_name":"listed"},{"id":2,"tag_name":"old"},{"id":3,"tag_name":"deleted"},{"id":4,"tag_name":"tree"}]`)
		case strings.HasSuffix(path, "/tags"):
			w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=2>; rel="next"`, r.Host, path))
			_, _ = fmt.Fprintf(w, `[{"name":"listed","commit":{"sha":%q}}]`, shaA)
		case strings.HasSuffix(path, "/git/ref/tags/old"):
			refJSON(w, "tag", shaB)
		case strings.HasSuffix(path, "/git/tags/"+shaB):
			refJSON(w, "tag", shaC)
		case strings.HasSuffix(path, "/git/tags/"+shaC):
			refJSON(w, "commit", shaD)
		case strings.HasSuffix(path, "/git/ref/tags/tree"):
			refJSON(w, "tree", shaB)
		case strings.Contains(path, "/git/commits/"):
			writeJSON(w, gitJSON(path[len(path)-40:], "jane", "x"))
		default:
			status(http.StatusNotFound, "Not Found")(w, r)
		}
	})
	releases, err := server.client(t, Options{}).Releases(testContext(t))
	if err != nil || len(releases) != 4 {
		t.Fatalf("got %+v, %v", releases, err)
	}
	for i, want := range []string{shaA, shaD, "", ""} {
		if got := releases[i]; got.TagFound != (want != "") || got.Commit.SHA != want {
			t.Errorf("%s: %+v, want %q", got.Tag, got, want)
		}
	}
	if got := server.count("/git/ref/tags/listed"); got != 0 {
		t.Errorf("a tag that was listed was asked for %d times", got)
	}
}

func TestATagThatNeverEndsIsNoCommit(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { refJSON(w, "tag", shaA) })
	if sha, err := server.client(t, Options{}).Tag(testContext(t), "loop"); err != nil || sha != "" {
		t.Errorf("got %q, %v", sha, err)
	}
}

func TestTheCommitsOfComparisonsAreBounded(t *testing.T) {
	listed := make([]*gogithub.RepositoryCommit, maxComparedCommits+10)
	if got := len(commitsAhead(&gogithub.CommitsComparison{Commits: listed})); got != maxComparedCommits {
		t.Errorf("%d commits of one", got)
	}
	kept := newRanges()
	for i := range 2 * maxRangeCommits / maxComparedCommits {
		kept.put(fmt.Sprint(i), make([]Commit, maxComparedCommits))
		kept.put(fmt.Sprint(i), make([]Commit, maxComparedCommits))
		if _, ok := kept.get("0"); !ok {
			t.Fatal("what is used most was dropped")
		}
	}
	held := 0
	for _, commits := range kept.lru.Values() {
		held += len(commits)
	}
	if held > maxRangeCommits || held < maxRangeCommits-maxComparedCommits || held != kept.total {
		t.Errorf("%d commits are held and %d counted", held, kept.total)
	}
}
