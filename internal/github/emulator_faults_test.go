package github

import (
	"maps"
	"net/http"
	"testing"
	"time"

	emulator "github.com/mainstem-dev/mainstem/test/github"
)

func TestFaultsOfReads(t *testing.T) {
	for _, kind := range []emulator.FaultKind{
		emulator.Status5xx, emulator.HTML, emulator.MalformedJSON, emulator.CutConnection, emulator.AfterEffectCut, emulator.Slow,
	} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			client := clientFor(t, NewClients(Options{}), w.repo, w.credential)
			fault := emulator.Fault{Kind: kind}
			if kind == emulator.Slow {
				fault.Delay = time.Minute
				client = clientFor(t, NewClients(Options{Timeout: 100 * time.Millisecond}), w.repo, w.credential)
			}
			w.Inject(fault)
			if head, err := client.Branch(testContext(t), "develop"); !isType[*UnreachableError](err) {
				t.Errorf("got %+v, %T %v", head, err, err)
			}
			w.ClearFaults()
			if head, err := client.Branch(testContext(t), "develop"); err != nil || !head.Found {
				t.Errorf("afterwards: %+v, %v", head, err)
			}
		})
	}
}

// What is cut after its effect has happened, all the same: asking again makes nothing a second time.
func TestAnEffectWhoseAnswerIsLostHappensOnce(t *testing.T) {
	for _, kind := range []emulator.FaultKind{emulator.AfterEffectCut, emulator.CutConnection, emulator.MalformedJSON, emulator.Status5xx} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			sha := w.repository.Head("develop")
			// Every write loses its first answer.
			lose := func(method string) { w.Inject(emulator.Fault{Kind: kind, Method: method, Times: 1}) }
			twice := func(name string, act func() error) {
				t.Helper()
				if err := act(); !isType[*UnreachableError](err) {
					t.Errorf("%s, first: %v", name, err)
				}
				if err := act(); err != nil {
					t.Errorf("%s, again: %v", name, err)
				}
			}
			number := 0
			lose(http.MethodPost)
			twice("branch", func() error { return w.client.EnsureBranch(testContext(t), headBranch, sha) })
			lose(http.MethodPost)
			twice("pull request", func() error {
				opened, err := w.client.OpenPullRequest(testContext(t), NewPullRequest{Title: "Promote", Head: headBranch, Base: "main"})
				number = opened.PullRequest.Number
				return err
			})
			lose(http.MethodPost)
			twice("status", func() error {
				_, err := w.client.EnsureStatus(testContext(t), sha, Status{Context: "mainstem/main", State: StatusSuccess})
				return err
			})
			lose(http.MethodPut)
			twice("merge", func() error {
				result, err := w.client.MergePullRequest(testContext(t), MergeRequest{Number: number, HeadSHA: sha})
				if err == nil && (result.SHA != w.repository.Head("main") || result.HeadSHA != sha) {
					t.Errorf("merge: %+v", result)
				}
				return err
			})
			// A deletion is answered without a body: there is nothing to cut in the middle.
			if kind == emulator.AfterEffectCut || kind == emulator.Status5xx {
				lose(http.MethodDelete)
				twice("delete", func() error { return w.client.DeleteBranch(testContext(t), headBranch, sha) })
			} else if err := w.client.DeleteBranch(testContext(t), headBranch, sha); err != nil {
				t.Error(err)
			}

			effects := w.Effects().By(emulator.SourceAPI)
			for _, effect := range []emulator.EffectKind{emulator.BranchCreated, emulator.PullOpened, emulator.StatusCreated, emulator.PullMerged, emulator.BranchDeleted} {
				if got := effects.Count(effect); got != 1 {
					t.Errorf("%s happened %d times", effect, got)
				}
			}
		})
	}
}

func TestLimitsOfTheEmulator(t *testing.T) {
	for _, tc := range []struct {
		kind emulator.FaultKind
		want LimitKind
	}{{emulator.PrimaryLimit, PrimaryLimit}, {emulator.SecondaryLimit, SecondaryLimit}} {
		for _, code := range []int{http.StatusForbidden, http.StatusTooManyRequests} {
			w := newWorld(t)
			w.Inject(emulator.Fault{Kind: tc.kind, Status: code, Delay: 10 * time.Minute, Times: 1})
			before := time.Now()
			_, err := w.client.Info(testContext(t))
			at, ok := RetryAt(err)
			if wait := at.Sub(before); !ok || wait < 9*time.Minute || wait > 11*time.Minute {
				t.Errorf("%s %d: %v, next try in %v", tc.kind, code, err, wait)
			}
			if _, err = w.client.Info(testContext(t)); !isType[*RateLimitedError](err) || w.Struck(tc.kind) != 1 || len(w.Calls()) != 0 {
				t.Errorf("%s %d: asked again: %v, %+v", tc.kind, code, err, w.Calls())
			}
		}
	}
}

func TestASpentBudgetIsKnownBeforeItHurts(t *testing.T) {
	w := newWorld(t)
	w.SetRemaining(testToken, 2, 10*time.Minute)
	if _, err := w.client.Info(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.Commit(testContext(t), w.repository.Head("develop")); err != nil {
		t.Fatal(err)
	}
	_, err := w.client.Commit(testContext(t), w.repository.Head("main"))
	if _, ok := RetryAt(err); !ok {
		t.Errorf("got %v", err)
	}
	for route, count := range w.Calls() {
		if count.Refused > 0 {
			t.Errorf("%s was refused %d times: the budget said 0", route, count.Refused)
		}
	}
	if budget := w.client.shared.limits.current(); !budget.Known || budget.Remaining != 0 {
		t.Errorf("the budget is %+v", budget)
	}
}

func TestWebhooksOfTheEmulator(t *testing.T) {
	const secret = "webhook-secret"
	type delivery struct {
		event Event
		err   error
	}
	seen := make(chan delivery, 100)
	receiver := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		var d delivery
		body := make([]byte, r.ContentLength)
		for read := 0; read < len(body); {
			n, err := r.Body.Read(body[read:])
			if read += n; err != nil {
				break
			}
		}
		if d.err = VerifySignature([]byte(secret), body, r.Header.Get(HeaderSignature)); d.err == nil {
			d.event, d.err = ParseEvent(r.Header.Get(HeaderEvent), body)
		}
		seen <- d
	})
	w := newWorld(t)
	w.repository.AddWebhook(receiver.URL, secret)
	pushed := w.commit("develop", "Go on")
	if err := w.repository.SetCheckRun(pushed, emulator.CheckRun{Name: "build", Conclusion: "success"}); err != nil {
		t.Fatal(err)
	}
	if err := w.repository.SetStatus(pushed, "legacy", "success", ""); err != nil {
		t.Fatal(err)
	}
	emulator.Must(w.repository.PublishRelease(emulator.ReleaseSpec{Tag: "v1.0.0", Target: "develop"}))
	pull, sha := w.promote(t)
	if _, err := w.client.MergePullRequest(testContext(t), MergeRequest{Number: pull.Number, HeadSHA: sha}); err != nil {
		t.Fatal(err)
	}
	wanted := map[EventKind]string{
		EventPing: "", EventPush: "", EventCheckRun: "", EventCheckSuite: "", EventStatus: "legacy", EventRelease: "", EventCreate: "", EventPullRequest: "",
	}
	deadline := time.After(30 * time.Second)
	for missing := maps.Clone(wanted); len(missing) > 0; {
		select {
		case d := <-seen:
			if d.err != nil {
				t.Errorf("%s: %v", d.event.Kind, d.err)
			}
			if d.event.Key() != w.repo.Key() {
				t.Errorf("%s is about %q, want %q", d.event.Kind, d.event.Key(), w.repo.Key())
			}
			if d.event.StatusContext != wanted[d.event.Kind] {
				t.Errorf("%s is about %q", d.event.Kind, d.event.StatusContext)
			}
			delete(missing, d.event.Kind)
		case <-deadline:
			t.Fatalf("still missing: %v", missing)
		}
	}
}
