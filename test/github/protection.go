package github

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Protection is what a protected branch asks for before a merge.
type Protection struct {
	// RequiredChecks are contexts of statuses or names of check runs.
	RequiredChecks []string
	// Strict asks that the head be up to date with the base.
	Strict bool
	// RequiredApprovals is the number of approving reviews.
	RequiredApprovals int
	// EnforceAdmins is told to readers; nobody bypasses protection here.
	EnforceAdmins bool
}

// updateHook refuses pushes to protected branches in GitHub's words. The file
// protected-branches holds one line "<ref> <pull|open>" for each.
const updateHook = `#!/bin/sh
ref=$1 old=$2 new=$3
case $ref in refs/pull/*)
	echo "error: deny updating a hidden ref" >&2
	exit 1
esac
zero=0000000000000000000000000000000000000000
rule=$(sed -n "s|^$ref ||p" protected-branches 2>/dev/null)
[ -n "$rule" ] || exit 0
if [ "$new" = "$zero" ]; then
	echo "error: GH006: Protected branch update failed for $ref." >&2
	echo "error: Cannot delete a protected branch" >&2
	exit 1
fi
[ "$old" = "$zero" ] && exit 0
if ! git merge-base --is-ancestor "$old" "$new"; then
	echo "error: GH006: Protected branch update failed for $ref." >&2
	echo "error: Cannot force-push to a protected branch" >&2
	exit 1
fi
if [ "$rule" = pull ]; then
	echo "error: GH006: Protected branch update failed for $ref." >&2
	echo "error: Changes must be made through a pull request." >&2
	exit 1
fi
exit 0
`

// Protect sets the protection of a branch, as its settings page does.
func (r *Repository) Protect(branch string, protection Protection) error {
	defer r.lock()()
	return r.protect(branch, protection, actor{account: r.owner, source: SourceTest})
}

// Unprotect removes the protection of a branch.
func (r *Repository) Unprotect(branch string) error {
	defer r.lock()()
	return r.unprotect(branch, actor{account: r.owner, source: SourceTest})
}

// SetRules puts a ruleset in force on a branch: the same demands, listed by the rules
// API, refused in other words.
func (r *Repository) SetRules(branch string, rules Protection) error {
	defer r.lock()()
	r.rules[branch] = rules
	r.server.record(Effect{Kind: ProtectionChanged, Repository: r.fullName(), Ref: heads + branch, Detail: "ruleset"},
		actor{account: r.owner, source: SourceTest})
	return r.writeProtected()
}

func (r *Repository) protect(branch string, protection Protection, by actor) error {
	r.protections[branch] = protection
	r.server.record(Effect{Kind: ProtectionChanged, Repository: r.fullName(), Ref: heads + branch}, by)
	return r.writeProtected()
}

func (r *Repository) unprotect(branch string, by actor) error {
	delete(r.protections, branch)
	r.server.record(Effect{Kind: ProtectionChanged, Repository: r.fullName(), Ref: heads + branch}, by)
	return r.writeProtected()
}

// writeProtected tells the update hook.
func (r *Repository) writeProtected() error {
	var lines strings.Builder
	for _, guarded := range []map[string]Protection{r.protections, r.rules} {
		for branch, protection := range guarded {
			rule := "open"
			if protection.RequiredApprovals > 0 || len(protection.RequiredChecks) > 0 {
				rule = "pull"
			}
			fmt.Fprintf(&lines, "%s%s %s\n", heads, branch, rule)
		}
	}
	return os.WriteFile(filepath.Join(r.dir, "protected-branches"), []byte(lines.String()), 0o600)
}

func (r *Repository) protected(branch string) bool {
	_, classic := r.protections[branch]
	_, ruled := r.rules[branch]
	return classic || ruled
}

// checkProtectedPush refuses what a protected branch does not take directly.
func (r *Repository) checkProtectedPush(ref, sha string) error {
	branch, isBranch := strings.CutPrefix(ref, heads)
	if !isBranch || !r.protected(branch) {
		return nil
	}
	forward, err := r.isAncestor(r.refs[ref], sha)
	if err != nil {
		return err
	}
	if !forward {
		return refuse(http.StatusUnprocessableEntity, "Cannot force-push to this branch")
	}
	for _, p := range []Protection{r.protections[branch], r.rules[branch]} {
		if p.RequiredApprovals > 0 {
			return refuse(http.StatusUnprocessableEntity, "Changes must be made through a pull request.")
		}
		if words := r.checksWords(sha, p.RequiredChecks); words != "" {
			return refuse(http.StatusUnprocessableEntity, "%s", words)
		}
	}
	return nil
}

// unmet lists in GitHub's words what a protection still misses.
func (r *Repository) unmet(p *pull, protection Protection) []string {
	var unmet []string
	if words := r.checksWords(p.headSHA, protection.RequiredChecks); words != "" {
		unmet = append(unmet, words)
	}
	if wanted := protection.RequiredApprovals; p.approvals() < wanted {
		reviews := "review is"
		if wanted > 1 {
			reviews = "reviews are"
		}
		unmet = append(unmet, fmt.Sprintf("At least %d approving %s required by reviewers with write access.", wanted, reviews))
	}
	if p.changesRequested() && protection.RequiredApprovals > 0 {
		unmet = append(unmet, "Changes have been requested.")
	}
	return unmet
}

func (r *Repository) blockers(p *pull) []string {
	return append(r.unmet(p, r.protections[p.baseRef]), r.unmet(p, r.rules[p.baseRef])...)
}

// checksWords says which required checks of a commit have not passed, or nothing.
func (r *Repository) checksWords(sha string, required []string) string {
	verdicts := map[verdict][]string{}
	for _, name := range required {
		state := r.verdictOf(sha, name)
		verdicts[state] = append(verdicts[state], name)
	}
	open := len(required) - len(verdicts[verdictPassed])
	words := []struct {
		state    verdict
		one, all string
	}{
		{verdictFailed, "failing", "have failed"}, {verdictPending, "in progress", "are in progress"}, {verdictMissing, "expected", "are expected"},
	}
	for _, w := range words {
		names := verdicts[w.state]
		switch {
		case len(names) == 0:
		case open == 1:
			return fmt.Sprintf("Required status check %q is %s.", names[0], w.one)
		default:
			return fmt.Sprintf("%d of %d required status checks %s.", len(names), len(required), w.all)
		}
	}
	return ""
}

// outdated says whether a strict protection wants the head to contain the base.
func (r *Repository) outdated(p *pull) bool {
	if !r.protections[p.baseRef].Strict && !r.rules[p.baseRef].Strict {
		return false
	}
	contained, err := r.isAncestor(r.refs[heads+p.baseRef], p.headSHA)
	return err == nil && !contained
}

func (r *Repository) protectionURL(branch string) string {
	return r.server.APIURL() + "/repos/" + r.fullName() + "/branches/" + branch + "/protection"
}

// renderBranchProtection is the summary inside a branch.
func (r *Repository) renderBranchProtection(branch string) object {
	p, protected := r.protections[branch]
	level := "off"
	if len(p.RequiredChecks) > 0 {
		level = "non_admins"
		if p.EnforceAdmins {
			level = "everyone"
		}
	}
	return object{"enabled": protected, "required_status_checks": object{
		"enforcement_level": level, "contexts": nonNil(p.RequiredChecks), "checks": renderChecks(p.RequiredChecks),
	}}
}

func nonNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func renderChecks(names []string) []object {
	checks := make([]object, 0, len(names))
	for _, name := range names {
		checks = append(checks, object{"context": name, "app_id": nil})
	}
	return checks
}

func (r *Repository) renderProtection(branch string) object {
	p, url := r.protections[branch], r.protectionURL(branch)
	body := object{
		"url": url, "enforce_admins": object{"url": url + "/enforce_admins", "enabled": p.EnforceAdmins},
		"required_signatures":     object{"url": url + "/required_signatures", "enabled": false},
		"required_linear_history": object{"enabled": false}, "allow_force_pushes": object{"enabled": false},
		"allow_deletions": object{"enabled": false}, "block_creations": object{"enabled": false},
		"required_conversation_resolution": object{"enabled": false}, "lock_branch": object{"enabled": false},
		"allow_fork_syncing": object{"enabled": false},
	}
	if len(p.RequiredChecks) > 0 || p.Strict {
		body["required_status_checks"] = object{
			"url": url + "/required_status_checks", "strict": p.Strict, "contexts": nonNil(p.RequiredChecks),
			"contexts_url": url + "/required_status_checks/contexts", "checks": renderChecks(p.RequiredChecks),
		}
	}
	if p.RequiredApprovals > 0 {
		body["required_pull_request_reviews"] = object{
			"url": url + "/required_pull_request_reviews", "dismiss_stale_reviews": false, "require_code_owner_reviews": false,
			"required_approving_review_count": p.RequiredApprovals, "require_last_push_approval": false,
		}
	}
	return body
}

func getProtection(c *call) (reply, error) {
	if c.repo.refs[heads+c.vars["branch"]] == "" {
		return reply{}, refuse(http.StatusNotFound, "Branch not found")
	}
	if _, protected := c.repo.protections[c.vars["branch"]]; !protected {
		return reply{}, refuse(http.StatusNotFound, "Branch not protected")
	}
	return ok(c.repo.renderProtection(c.vars["branch"]))
}

func putProtection(c *call) (reply, error) {
	asked, err := decode[struct {
		Checks *struct {
			Strict   bool     `json:"strict"`
			Contexts []string `json:"contexts"`
			Checks   []struct {
				Context string `json:"context"`
			} `json:"checks"`
		} `json:"required_status_checks"`
		Reviews *struct {
			Count *int `json:"required_approving_review_count"`
		} `json:"required_pull_request_reviews"`
		Admins bool `json:"enforce_admins"`
	}](c)
	if err != nil {
		return reply{}, err
	}
	branch := c.vars["branch"]
	if c.repo.refs[heads+branch] == "" {
		return reply{}, refuse(http.StatusNotFound, "Branch not found")
	}
	protection := Protection{EnforceAdmins: asked.Admins}
	if asked.Checks != nil {
		protection.Strict, protection.RequiredChecks = asked.Checks.Strict, asked.Checks.Contexts
		for _, check := range asked.Checks.Checks {
			if !slices.Contains(protection.RequiredChecks, check.Context) {
				protection.RequiredChecks = append(protection.RequiredChecks, check.Context)
			}
		}
	}
	if asked.Reviews != nil {
		protection.RequiredApprovals = 1
		if asked.Reviews.Count != nil {
			protection.RequiredApprovals = *asked.Reviews.Count
		}
	}
	if err := c.repo.protect(branch, protection, c.who.actor()); err != nil {
		return reply{}, err
	}
	return ok(c.repo.renderProtection(branch))
}

func deleteProtection(c *call) (reply, error) {
	if _, err := getProtection(c); err != nil {
		return reply{}, err
	}
	if err := c.repo.unprotect(c.vars["branch"], c.who.actor()); err != nil {
		return reply{}, err
	}
	return noContent()
}

// listRules lists the rules in force on a branch, whether it exists or not.
func listRules(c *call) (reply, error) {
	rules := []object{}
	if p, ruled := c.repo.rules[c.vars["branch"]]; ruled {
		add := func(kind string, parameters object) {
			rule := object{"type": kind, "ruleset_source_type": "Repository", "ruleset_source": c.repo.fullName(), "ruleset_id": c.repo.id}
			if parameters != nil {
				rule["parameters"] = parameters
			}
			rules = append(rules, rule)
		}
		add("deletion", nil)
		add("non_fast_forward", nil)
		if p.RequiredApprovals > 0 {
			add("pull_request", object{
				"required_approving_review_count": p.RequiredApprovals, "dismiss_stale_reviews_on_push": false,
				"require_code_owner_review": false, "require_last_push_approval": false, "required_review_thread_resolution": false,
				"allowed_merge_methods": c.repo.options.MergeMethods,
			})
		}
		if len(p.RequiredChecks) > 0 {
			checks := []object{}
			for _, name := range p.RequiredChecks {
				checks = append(checks, object{"context": name})
			}
			add("required_status_checks", object{
				"required_status_checks": checks, "strict_required_status_checks_policy": p.Strict, "do_not_enforce_on_create": false,
			})
		}
	}
	return listed(c, rules, func(o object) object { return o })
}

func listBranches(c *call) (reply, error) {
	var names []string
	for _, ref := range c.repo.sortedRefs(heads) {
		name := strings.TrimPrefix(ref, heads)
		if wanted := c.query.Get("protected"); wanted != "" && (wanted == "true") != c.repo.protected(name) {
			continue
		}
		names = append(names, name)
	}
	return listed(c, names, func(name string) object {
		sha := c.repo.refs[heads+name]
		return object{
			"name": name, "protected": c.repo.protected(name), "protection": c.repo.renderBranchProtection(name), "protection_url": c.repo.protectionURL(name),
			"commit": object{"sha": sha, "url": c.APIURL() + "/repos/" + c.repo.fullName() + "/commits/" + sha},
		}
	})
}

func getBranch(c *call) (reply, error) {
	name := c.vars["branch"]
	sha := c.repo.refs[heads+name]
	if sha == "" {
		return reply{}, refuse(http.StatusNotFound, "Branch not found")
	}
	head, err := c.repo.commit(sha)
	if err != nil {
		return reply{}, err
	}
	self := c.APIURL() + "/repos/" + c.repo.fullName() + "/branches/" + name
	return ok(object{
		"name": name, "commit": c.repo.renderCommit(head), "protected": c.repo.protected(name),
		"protection": c.repo.renderBranchProtection(name), "protection_url": c.repo.protectionURL(name),
		"_links": object{"self": self, "html": c.URL() + "/" + c.repo.fullName() + "/tree/" + name},
	})
}
