package github

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// workRefs is where the emulator keeps commits on their way; clients never see it.
const workRefs = "refs/emulator/"

// RepositoryOptions describes a new repository.
type RepositoryOptions struct {
	// DefaultBranch is "main" when empty.
	DefaultBranch string
	Private       bool
	// OwnerType is TypeOrganization when empty; it matters only for a new owner.
	OwnerType string
	// MergeMethods that are allowed: "merge", "squash", "rebase". Empty: all.
	MergeMethods []string
	// DeleteBranchOnMerge removes the head branch of a merged pull request.
	DeleteBranchOnMerge bool
	// Template is a repository of the same server whose branches, tags and history the new one begins with, as a push of
	// all of them would leave it. It costs a copy of its files and no run of Git, so that a thousand are made in a second.
	Template *Repository
}

// Repository is one repository of the emulator. Its exported methods play a person
// at work; errors of type *Error are what the REST API would have answered.
type Repository struct {
	server        *Server
	id            int64
	owner         *account
	name          string
	private       bool
	archived      bool
	defaultBranch string
	options       RepositoryOptions
	created       time.Time
	pushed        time.Time
	updated       time.Time
	dir           string

	refs        map[string]string
	commits     map[string]*commit
	comparisons map[[2]string]*comparison
	changes     map[[2]string][]fileChange
	ancestors   map[[2]string]bool

	numbers     int
	pulls       []*pull
	labels      map[string]*label
	statuses    map[string][]*commitStatus
	checks      []*checkRun
	suites      []*checkSuite
	releases    []*release
	protections map[string]Protection
	rules       map[string]Protection
}

var repositoryName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$`)

// CreateRepository makes an empty repository with the given "owner/name".
func (s *Server) CreateRepository(fullName string, options RepositoryOptions) (*Repository, error) {
	if !repositoryName.MatchString(fullName) {
		return nil, fmt.Errorf("creating repository %q: want owner/name", fullName)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if taken := s.repos[strings.ToLower(fullName)]; taken != nil && strings.EqualFold(taken.fullName(), fullName) {
		return nil, invalid(FieldError{Resource: "Repository", Code: "custom", Field: "name", Message: "name already exists on this account"})
	}
	if options.DefaultBranch == "" {
		options.DefaultBranch = "main"
	}
	if options.OwnerType == "" {
		options.OwnerType = TypeOrganization
	}
	if len(options.MergeMethods) == 0 {
		options.MergeMethods = []string{MergeCommit, Squash, Rebase}
	}
	owner, name, _ := strings.Cut(fullName, "/")
	repo := &Repository{
		server: s, id: s.nextID(), owner: s.account(owner, options.OwnerType), name: name, private: options.Private,
		defaultBranch: options.DefaultBranch, options: options, created: s.now(), pushed: s.now(), updated: s.now(),
		refs: map[string]string{}, commits: map[string]*commit{}, comparisons: map[[2]string]*comparison{},
		changes: map[[2]string][]fileChange{}, ancestors: map[[2]string]bool{}, labels: map[string]*label{}, statuses: map[string][]*commitStatus{},
		protections: map[string]Protection{}, rules: map[string]Protection{},
	}
	repo.dir = filepath.Join(s.options.Dir, strconv.FormatInt(repo.id, 10)+".git")
	begin := repo.initialize
	if options.Template != nil {
		begin = repo.copyTemplate
	}
	if err := begin(); err != nil {
		return nil, fmt.Errorf("creating repository %s: %w", fullName, err)
	}
	s.repos[strings.ToLower(fullName)] = repo
	s.byID[repo.id] = repo
	return repo, nil
}

// Repository returns a repository by its "owner/name", or nil.
func (s *Server) Repository(fullName string) *Repository {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repos[strings.ToLower(fullName)]
}

// ResolveTag returns the commit of a tag in the repository that a URL is about; empty where there is none.
func (s *Server) ResolveTag(url, tag string) string {
	repository := s.Repository(strings.TrimSuffix(strings.TrimPrefix(url, s.URL()+"/"), ".git"))
	if repository == nil {
		return ""
	}
	found, err := repository.CommitInfo(tags + tag)
	if err != nil {
		return ""
	}
	return found.SHA
}

func (r *Repository) initialize() error {
	if err := os.MkdirAll(r.dir, 0o750); err != nil {
		return err
	}
	if _, err := r.git("init", "--quiet", "--bare", "--initial-branch="+r.defaultBranch, "."); err != nil {
		return err
	}
	config := []string{
		"[http]", "receivepack = true",
		"[gc]", "auto = 0",
		"[receive]", "autogc = false", "advertiseAtomic = true",
		// GitHub serves any commit by its SHA.
		"[uploadpack]", "allowAnySHA1InWant = true", "allowFilter = true",
		"[transfer]", "hideRefs = " + strings.TrimSuffix(workRefs, "/"),
		"[core]", "logAllRefUpdates = false",
	}
	file, err := os.OpenFile(filepath.Join(r.dir, "config"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.WriteString(strings.Join(config, "\n") + "\n"); err != nil {
		_ = file.Close()
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	hook := filepath.Join(r.dir, "hooks", "update")
	if err := os.MkdirAll(filepath.Dir(hook), 0o750); err != nil {
		return err
	}
	return os.WriteFile(hook, []byte(updateHook), 0o700)
}

// copyTemplate begins with what the template has, and with what is remembered of its history, which never changes.
func (r *Repository) copyTemplate() error {
	template := r.options.Template
	if template.server != r.server {
		return errors.New("its template is on another server")
	}
	if err := os.CopyFS(r.dir, os.DirFS(template.dir)); err != nil {
		return fmt.Errorf("copying %s: %w", template.fullName(), err)
	}
	r.refs, r.commits = maps.Clone(template.refs), maps.Clone(template.commits)
	r.comparisons, r.changes, r.ancestors = maps.Clone(template.comparisons), maps.Clone(template.changes), maps.Clone(template.ancestors)
	return nil
}

func (r *Repository) fullName() string { return r.owner.login + "/" + r.name }

// FullName is "owner/name".
func (r *Repository) FullName() string {
	defer r.lock()()
	return r.fullName()
}

// CloneURL is where Git clones the repository from.
func (r *Repository) CloneURL() string { return r.server.URL() + "/" + r.FullName() + ".git" }

// lock takes the server's mutex: defer r.lock()().
func (r *Repository) lock() func() {
	r.server.mu.Lock()
	return r.server.mu.Unlock
}

// Archive makes the repository read-only, for the API and for pushes.
func (r *Repository) Archive() { r.setArchived(true, RepositoryArchived, "archived") }

// Unarchive lets it be written to again.
func (r *Repository) Unarchive() { r.setArchived(false, RepositoryUnarchived, "unarchived") }

func (r *Repository) setArchived(archived bool, kind EffectKind, action string) {
	defer r.lock()()
	r.archived, r.updated = archived, r.server.now()
	by := actor{account: r.owner, source: SourceTest}
	r.server.record(Effect{Kind: kind, Repository: r.fullName()}, by)
	r.server.emit(event{name: "repository", repo: r, by: by, payload: object{"action": action}})
}

// Rename gives the repository another name; the old address redirects.
func (r *Repository) Rename(name string) error {
	defer r.lock()()
	before := r.name
	by := actor{account: r.owner, source: SourceTest}
	if err := r.move(r.owner.login + "/" + name); err != nil {
		return err
	}
	r.server.record(Effect{Kind: RepositoryRenamed, Repository: r.fullName(), Detail: before}, by)
	r.server.emit(event{name: "repository", repo: r, by: by, payload: object{
		"action": "renamed", "changes": object{"repository": object{"name": object{"from": before}}},
	}})
	return nil
}

// Transfer gives the repository to another owner; the old address redirects.
func (r *Repository) Transfer(owner string) error {
	defer r.lock()()
	before := r.owner
	by := actor{account: before, source: SourceTest}
	if err := r.move(owner + "/" + r.name); err != nil {
		return err
	}
	r.server.record(Effect{Kind: RepositoryTransferred, Repository: r.fullName(), Detail: before.login}, by)
	kind := "user"
	if before.kind == TypeOrganization {
		kind = "organization"
	}
	r.server.emit(event{name: "repository", repo: r, by: by, payload: object{
		"action": "transferred", "changes": object{"owner": object{"from": object{kind: r.server.renderAccount(before)}}},
	}})
	return nil
}

// move takes another "owner/name".
func (r *Repository) move(fullName string) error {
	if !repositoryName.MatchString(fullName) {
		return fmt.Errorf("moving %s to %q: want owner/name", r.fullName(), fullName)
	}
	key := strings.ToLower(fullName)
	if taken := r.server.repos[key]; taken != nil && taken != r {
		return fmt.Errorf("moving %s: %s exists", r.fullName(), fullName)
	}
	owner, name, _ := strings.Cut(fullName, "/")
	r.owner, r.name, r.updated = r.server.account(owner, r.owner.kind), name, r.server.now()
	r.server.repos[key] = r
	return nil
}

// moved is the redirect of a renamed repository's old address.
func (c *call) moved() error {
	status, text := http.StatusMovedPermanently, "Moved Permanently"
	if c.request.Method != http.MethodGet && c.request.Method != http.MethodHead {
		status, text = http.StatusTemporaryRedirect, "Temporary Redirect"
	}
	old := fmt.Sprintf("%s/repos/%s/%s", apiPrefix, c.vars["owner"], c.vars["repo"])
	rest := strings.TrimPrefix(c.request.URL.EscapedPath(), old)
	target := fmt.Sprintf("%s/repositories/%d%s", c.APIURL(), c.repo.id, rest)
	if c.request.URL.RawQuery != "" {
		target += "?" + c.request.URL.RawQuery
	}
	return &Error{Status: status, Message: text, header: http.Header{"Location": {target}}, extra: object{"url": target}}
}

var byIDPath = regexp.MustCompile(`^/repositories/(\d+)(/.*)?$`)

// redirect serves /repositories/{id}/…, the target of moved, by the ordinary routes;
// everything else is not found.
func (c *call) redirect(path string) (reply, error) {
	groups := byIDPath.FindStringSubmatch(path)
	if groups == nil {
		return reply{}, notFound()
	}
	id, err := strconv.ParseInt(groups[1], 10, 64)
	repo := c.byID[id]
	if err != nil || repo == nil {
		return reply{}, notFound()
	}
	c.route, c.vars = findRoute(c.request.Method, "/repos/"+repo.fullName()+groups[2])
	if c.route == nil {
		return reply{}, notFound()
	}
	if err := c.findRepository(); err != nil {
		return reply{}, err
	}
	if err := c.authorize(); err != nil {
		return reply{}, err
	}
	return c.route.handle(c)
}

func getRepository(c *call) (reply, error) {
	body := c.renderRepository(c.repo)
	full := object{
		"network_count": 0, "subscribers_count": 0,
		"allow_merge_commit": c.repo.allows(MergeCommit), "allow_squash_merge": c.repo.allows(Squash),
		"allow_rebase_merge": c.repo.allows(Rebase), "allow_auto_merge": false, "allow_update_branch": false,
		"delete_branch_on_merge": c.repo.options.DeleteBranchOnMerge,
		"merge_commit_title":     "MERGE_MESSAGE", "merge_commit_message": "PR_TITLE",
		"squash_merge_commit_title": "COMMIT_OR_PR_TITLE", "squash_merge_commit_message": "COMMIT_MESSAGES",
	}
	for key, value := range full {
		body[key] = value
	}
	if c.who.token != nil {
		push := c.who.can(c.repo, "contents", Write)
		body["permissions"] = object{
			"admin": c.who.can(c.repo, "administration", Write), "maintain": push, "push": push, "triage": push, "pull": true,
		}
	}
	if c.repo.owner.kind == TypeOrganization {
		body["organization"] = c.renderAccount(c.repo.owner)
	}
	return ok(body)
}

// renderRepository is the repository as it appears everywhere else.
func (s *Server) renderRepository(r *Repository) object {
	api, html := s.APIURL()+"/repos/"+r.fullName(), s.URL()+"/"+r.fullName()
	visibility := "public"
	if r.private {
		visibility = "private"
	}
	open := 0
	for _, p := range r.pulls {
		if p.state == stateOpen {
			open++
		}
	}
	body := object{
		"id": r.id, "node_id": nodeID("Repository", r.id), "name": r.name, "full_name": r.fullName(),
		"owner": s.renderAccount(r.owner), "private": r.private, "html_url": html, "description": nil, "fork": false, "url": api,
		"created_at": stamp(r.created), "updated_at": stamp(r.updated), "pushed_at": stamp(r.pushed),
		"git_url": strings.Replace(html, "http://", "git://", 1) + ".git", "ssh_url": "git@github.com:" + r.fullName() + ".git",
		"clone_url": html + ".git", "svn_url": html, "homepage": nil, "mirror_url": nil, "language": nil, "license": nil,
		"size": 1, "stargazers_count": 0, "watchers_count": 0, "watchers": 0, "forks_count": 0, "forks": 0,
		"open_issues_count": open, "open_issues": open, "is_template": false, "topics": []string{}, "visibility": visibility,
		"has_issues": true, "has_projects": true, "has_downloads": true, "has_wiki": true, "has_pages": false, "has_discussions": false,
		"archived": r.archived, "disabled": false, "allow_forking": true, "web_commit_signoff_required": false,
		"default_branch": r.defaultBranch, "custom_properties": object{},
	}
	for key, suffix := range repositoryLinks {
		body[key] = api + suffix
	}
	return body
}

// repositoryLinks are the URI templates of a repository, relative to its own URL.
var repositoryLinks = map[string]string{
	"archive_url": "/{archive_format}{/ref}", "assignees_url": "/assignees{/user}", "blobs_url": "/git/blobs{/sha}",
	"branches_url": "/branches{/branch}", "collaborators_url": "/collaborators{/collaborator}", "comments_url": "/comments{/number}",
	"commits_url": "/commits{/sha}", "compare_url": "/compare/{base}...{head}", "contents_url": "/contents/{+path}",
	"contributors_url": "/contributors", "deployments_url": "/deployments", "downloads_url": "/downloads", "events_url": "/events",
	"forks_url": "/forks", "git_commits_url": "/git/commits{/sha}", "git_refs_url": "/git/refs{/sha}", "git_tags_url": "/git/tags{/sha}",
	"hooks_url": "/hooks", "issue_comment_url": "/issues/comments{/number}", "issue_events_url": "/issues/events{/number}",
	"issues_url": "/issues{/number}", "keys_url": "/keys{/key_id}", "labels_url": "/labels{/name}", "languages_url": "/languages",
	"merges_url": "/merges", "milestones_url": "/milestones{/number}",
	"notifications_url": "/notifications{?since,all,participating}", "pulls_url": "/pulls{/number}", "releases_url": "/releases{/id}",
	"stargazers_url": "/stargazers", "statuses_url": "/statuses/{sha}", "subscribers_url": "/subscribers",
	"subscription_url": "/subscription", "tags_url": "/tags", "teams_url": "/teams", "trees_url": "/git/trees{/sha}",
}
