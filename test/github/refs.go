package github

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

const (
	heads = "refs/heads/"
	tags  = "refs/tags/"
)

// refChange is one ref that moved. old or new is zeroSHA where it came or went.
type refChange struct {
	ref, old, new string
}

func (c refChange) created() bool { return c.old == zeroSHA }
func (c refChange) deleted() bool { return c.new == zeroSHA }

func (c refChange) branch() (string, bool) { return strings.CutPrefix(c.ref, heads) }

// setRef moves a ref to sha, or removes it for zeroSHA, and lets everything follow
// that depends on it: effects, webhooks, pull requests.
func (r *Repository) setRef(ref, sha string, by actor) error {
	old := r.refs[ref]
	if old == "" {
		old = zeroSHA
	}
	if old == sha {
		return nil
	}
	if err := r.writeRef(ref, sha); err != nil {
		return err
	}
	return r.follow(refChange{ref: ref, old: old, new: sha}, by)
}

// writeRef stores a ref and nothing else.
func (r *Repository) writeRef(ref, sha string) error {
	if sha == zeroSHA {
		if _, err := r.git("update-ref", "-d", ref); err != nil {
			return fmt.Errorf("deleting %s: %w", ref, err)
		}
		delete(r.refs, ref)
		return nil
	}
	if _, err := r.git("update-ref", ref, sha); err != nil {
		return fmt.Errorf("updating %s: %w", ref, err)
	}
	r.refs[ref] = sha
	return nil
}

// validRef says whether Git would take the name.
func (r *Repository) validRef(ref string) bool {
	_, err := r.git("check-ref-format", ref)
	return err == nil && (strings.HasPrefix(ref, heads) || strings.HasPrefix(ref, tags))
}

// resolve finds the commit that a name means: a full SHA, a branch, a tag (peeled),
// a ref with or without "refs/", HEAD, or an abbreviated SHA.
func (r *Repository) resolve(name string) (*commit, error) {
	if name == "" || name == "HEAD" {
		name = r.defaultBranch
	}
	candidates := []string{heads + name, tags + name, "refs/" + name, name}
	for _, candidate := range candidates {
		if sha := r.refs[candidate]; sha != "" {
			return r.peel(sha)
		}
	}
	if len(name) < 4 || strings.Trim(name, "0123456789abcdef") != "" {
		return nil, noCommit(name)
	}
	return r.peel(name)
}

// peel follows annotated tags to the commit.
func (r *Repository) peel(sha string) (*commit, error) {
	if known := r.commits[sha]; known != nil {
		return known, nil
	}
	full, err := r.git("rev-parse", "--verify", "--quiet", "--end-of-options", sha+"^{commit}")
	var failed *gitError
	if errors.As(err, &failed) {
		return nil, noCommit(sha)
	}
	if err != nil {
		return nil, err
	}
	return r.commit(full)
}

func (r *Repository) empty() bool {
	for ref := range r.refs {
		if strings.HasPrefix(ref, heads) {
			return false
		}
	}
	return true
}

func errEmpty() *Error { return refuse(http.StatusConflict, "Git Repository is empty.") }

func (c *call) renderRef(ref string) object {
	sha := c.repo.refs[ref]
	kind, _ := c.repo.objectType(sha) // a ref's object exists
	api := c.APIURL() + "/repos/" + c.repo.fullName()
	return object{
		"ref": ref, "node_id": nodeID("Ref", ref), "url": api + "/git/" + ref,
		"object": object{"sha": sha, "type": kind, "url": fmt.Sprintf("%s/git/%ss/%s", api, kind, sha)},
	}
}

func getRef(c *call) (reply, error) {
	if c.repo.empty() {
		return reply{}, errEmpty()
	}
	ref := "refs/" + strings.TrimPrefix(c.vars["ref"], "refs/")
	if c.repo.refs[ref] == "" {
		return reply{}, notFound()
	}
	return ok(c.renderRef(ref))
}

func listMatchingRefs(c *call) (reply, error) {
	prefix := "refs/" + strings.TrimPrefix(c.vars["ref"], "refs/")
	matching := []object{}
	for _, ref := range c.repo.sortedRefs(prefix) {
		matching = append(matching, c.renderRef(ref))
	}
	return ok(matching)
}

func (r *Repository) sortedRefs(prefix string) []string {
	var names []string
	for ref := range r.refs {
		if strings.HasPrefix(ref, prefix) {
			names = append(names, ref)
		}
	}
	slices.Sort(names)
	return names
}

func createRef(c *call) (reply, error) {
	asked, err := decode[struct {
		Ref string `json:"ref"`
		SHA string `json:"sha"`
	}](c)
	if err != nil {
		return reply{}, err
	}
	switch {
	case asked.Ref == "" || asked.SHA == "":
		return reply{}, refuse(http.StatusUnprocessableEntity, "Invalid request.\n\n\"ref\", \"sha\" weren't supplied.")
	case !strings.HasPrefix(asked.Ref, "refs/") || strings.Count(asked.Ref, "/") < 2:
		return reply{}, refuse(http.StatusUnprocessableEntity, "Reference name must start with 'refs/' and contain at least 2 slashes.")
	case !c.repo.validRef(asked.Ref):
		return reply{}, refuse(http.StatusUnprocessableEntity, "Reference name is not valid.")
	case c.repo.empty():
		return reply{}, errEmpty()
	case c.repo.refs[asked.Ref] != "":
		return reply{}, refuse(http.StatusUnprocessableEntity, "Reference already exists")
	}
	if err := c.repo.checkObject(asked.Ref, asked.SHA); err != nil {
		return reply{}, err
	}
	if conflict := c.repo.directoryConflict(asked.Ref); conflict != "" {
		return reply{}, refuse(http.StatusUnprocessableEntity, "Reference update failed")
	}
	if err := c.repo.setRef(asked.Ref, asked.SHA, c.who.actor()); err != nil {
		return reply{}, err
	}
	return created(c.renderRef(asked.Ref))
}

// directoryConflict finds a ref that is a prefix directory of the name, or lies
// below it: Git can have only one of the two.
func (r *Repository) directoryConflict(name string) string {
	for ref := range r.refs {
		if strings.HasPrefix(ref, name+"/") || strings.HasPrefix(name, ref+"/") {
			return ref
		}
	}
	return ""
}

// checkObject refuses what a ref cannot point at: branches want commits.
func (r *Repository) checkObject(ref, sha string) error {
	kind, err := r.objectType(sha)
	if err != nil {
		return err
	}
	if kind == "" || strings.HasPrefix(ref, heads) && kind != "commit" {
		return refuse(http.StatusUnprocessableEntity, "Object does not exist")
	}
	return nil
}

func updateRef(c *call) (reply, error) {
	asked, err := decode[struct {
		SHA   string `json:"sha"`
		Force bool   `json:"force"`
	}](c)
	if err != nil {
		return reply{}, err
	}
	ref := "refs/" + c.vars["ref"]
	old := c.repo.refs[ref]
	if old == "" {
		return reply{}, refuse(http.StatusUnprocessableEntity, "Reference does not exist")
	}
	if err := c.repo.checkObject(ref, asked.SHA); err != nil {
		return reply{}, err
	}
	forward, err := c.repo.isAncestor(old, asked.SHA)
	if err != nil {
		return reply{}, err
	}
	if !forward && !asked.Force {
		return reply{}, refuse(http.StatusUnprocessableEntity, "Update is not a fast forward")
	}
	if err := c.repo.checkProtectedPush(ref, asked.SHA); err != nil {
		return reply{}, err
	}
	if err := c.repo.setRef(ref, asked.SHA, c.who.actor()); err != nil {
		return reply{}, err
	}
	return ok(c.renderRef(ref))
}

func deleteRef(c *call) (reply, error) {
	ref := "refs/" + c.vars["ref"]
	if c.repo.refs[ref] == "" {
		return reply{}, refuse(http.StatusUnprocessableEntity, "Reference does not exist")
	}
	branch, isBranch := strings.CutPrefix(ref, heads)
	if isBranch && branch == c.repo.defaultBranch {
		return reply{}, refuse(http.StatusUnprocessableEntity, "Cannot delete the default branch")
	}
	if isBranch && c.repo.protected(branch) {
		return reply{}, refuse(http.StatusUnprocessableEntity, "Cannot delete a protected branch")
	}
	if err := c.repo.setRef(ref, zeroSHA, c.who.actor()); err != nil {
		return reply{}, err
	}
	return noContent()
}
