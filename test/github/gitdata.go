package github

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// getGitTag answers with an annotated tag object.
func getGitTag(c *call) (reply, error) {
	sha := c.vars["tag_sha"]
	kind, err := c.repo.objectType(sha)
	if err != nil {
		return reply{}, err
	}
	if kind != "tag" {
		return reply{}, notFound()
	}
	text, err := c.repo.git("cat-file", "tag", sha)
	if err != nil {
		return reply{}, err
	}
	head, message, _ := strings.Cut(text, "\n\n")
	fields := map[string]string{}
	for line := range strings.SplitSeq(head, "\n") {
		key, value, _ := strings.Cut(line, " ")
		fields[key] = value
	}
	api := c.APIURL() + "/repos/" + c.repo.fullName() + "/git/"
	return ok(object{
		"node_id": nodeID("Tag", sha), "sha": sha, "url": api + "tags/" + sha, "tag": fields["tag"], "message": message,
		"tagger": c.renderGitUser(parseTagger(fields["tagger"])), "verification": unsigned(),
		"object": object{"sha": fields["object"], "type": fields["type"], "url": api + fields["type"] + "s/" + fields["object"]},
	})
}

// parseTagger reads "name <email> seconds zone".
func parseTagger(text string) signature {
	name, rest, _ := strings.Cut(text, " <")
	email, date, _ := strings.Cut(rest, "> ")
	seconds, _, _ := strings.Cut(date, " ")
	at, _ := strconv.ParseInt(seconds, 10, 64) // as Git wrote it
	return signature{name: name, email: email, when: time.Unix(at, 0).UTC()}
}

func getGitCommit(c *call) (reply, error) {
	sha := c.vars["commit_sha"]
	kind, err := c.repo.objectType(sha)
	if err != nil {
		return reply{}, err
	}
	if kind != "commit" {
		return reply{}, notFound()
	}
	found, err := c.repo.commit(sha)
	if err != nil {
		return reply{}, err
	}
	full := c.repo.renderCommit(found)
	inner, _ := full["commit"].(object)
	return ok(object{
		"sha": sha, "node_id": full["node_id"], "url": inner["url"], "html_url": full["html_url"], "author": inner["author"],
		"committer": inner["committer"], "message": found.message, "tree": inner["tree"], "verification": unsigned(), "parents": full["parents"],
	})
}

// getTree lists a tree by its own SHA, or that of a commit, branch or tag.
func getTree(c *call) (reply, error) {
	name := c.vars["tree_sha"]
	tree := name
	kind, err := c.repo.objectType(name)
	if err != nil {
		return reply{}, err
	}
	if kind != "tree" {
		found, err := c.commitOf(name)
		if err != nil {
			return reply{}, notFound()
		}
		tree = found.tree
	}
	args := []string{"ls-tree", "-z", "--long"}
	if c.query.Has("recursive") {
		args = append(args, "-r", "-t")
	}
	out, err := c.repo.git(append(args, tree)...)
	if err != nil {
		return reply{}, err
	}
	api := c.APIURL() + "/repos/" + c.repo.fullName() + "/git/"
	entries := []object{}
	for line := range strings.SplitSeq(out, "\x00") {
		head, path, found := strings.Cut(line, "\t")
		fields := strings.Fields(head)
		if !found || len(fields) != 4 {
			continue
		}
		entry := object{"path": path, "mode": fields[0], "type": fields[1], "sha": fields[2], "url": api + fields[1] + "s/" + fields[2]}
		if size, err := strconv.Atoi(fields[3]); err == nil {
			entry["size"] = size
		}
		entries = append(entries, entry)
	}
	return reply{status: http.StatusOK, body: object{"sha": tree, "url": api + "trees/" + tree, "truncated": false, "tree": entries}}, nil
}
