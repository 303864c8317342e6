package github

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// emptyTree is the SHA of Git's tree without entries.
const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

// fileChange is one file of a difference.
type fileChange struct {
	blob, path, previous, status string
	additions, deletions         int
	patch                        string
}

// filesOf returns what a commit changes against its first parent.
func (r *Repository) filesOf(c *commit) ([]fileChange, error) {
	parent := emptyTree
	if len(c.parents) > 0 {
		parent = c.parents[0]
	}
	return r.diff(parent, c.sha)
}

// diff lists the changed files between two trees, renames found.
func (r *Repository) diff(from, to string) ([]fileChange, error) {
	key := [2]string{from, to}
	if known, cached := r.changes[key]; cached {
		return known, nil
	}
	raw, err := r.git("diff", "--raw", "--no-abbrev", "-M", "-z", from, to, "--")
	if err != nil {
		return nil, err
	}
	files := parseRaw(strings.Split(raw, "\x00"))
	numbers, err := r.git("diff", "--numstat", "-M", "-z", from, to, "--")
	if err != nil {
		return nil, err
	}
	addNumbers(files, strings.Split(numbers, "\x00"))
	patches, err := r.git("diff", "--patch", "-M", "--no-color", from, to, "--")
	if err != nil {
		return nil, err
	}
	addPatches(files, patches)
	r.changes[key] = files
	return files, nil
}

var statusNames = map[byte]string{'A': "added", 'D': "removed", 'M': "modified", 'R': "renamed", 'C': "copied", 'T': "changed"}

// parseRaw reads the fields of git diff --raw -z: a header, then one or two paths.
func parseRaw(fields []string) []fileChange {
	var files []fileChange
	for i := 0; i+1 < len(fields); i++ {
		parts := strings.Fields(fields[i])
		if len(parts) != 5 {
			continue
		}
		file := fileChange{blob: parts[3], status: statusNames[parts[4][0]]}
		if file.status == "removed" {
			file.blob = parts[2]
		}
		i++
		file.path = fields[i]
		if strings.ContainsRune("RC", rune(parts[4][0])) && i+1 < len(fields) {
			i++
			file.previous, file.path = file.path, fields[i]
		}
		files = append(files, file)
	}
	return files
}

// addNumbers reads git diff --numstat -z, which lists the same files in the same order.
func addNumbers(files []fileChange, fields []string) {
	next := 0
	for i := 0; i < len(fields) && next < len(files); i++ {
		parts := strings.SplitN(fields[i], "\t", 3)
		if len(parts) != 3 {
			continue
		}
		files[next].additions, _ = strconv.Atoi(parts[0]) // "-" for binary files: none
		files[next].deletions, _ = strconv.Atoi(parts[1])
		if parts[2] == "" {
			i += 2 // a rename: both names follow
		}
		next++
	}
}

func addPatches(files []fileChange, patches string) {
	sections := strings.Split("\n"+patches, "\ndiff --git ")[1:]
	for i := range min(len(files), len(sections)) {
		if _, hunk, found := strings.Cut(sections[i], "\n@@"); found {
			files[i].patch = "@@" + hunk
		}
	}
}

func (r *Repository) renderFiles(files []fileChange, sha string) []object {
	html, api := r.server.URL()+"/"+r.fullName(), r.server.APIURL()+"/repos/"+r.fullName()
	rendered := make([]object, 0, len(files))
	for _, file := range files {
		path := (&url.URL{Path: file.path}).EscapedPath()
		entry := object{
			"sha": file.blob, "filename": file.path, "status": file.status,
			"additions": file.additions, "deletions": file.deletions, "changes": file.additions + file.deletions,
			"blob_url": fmt.Sprintf("%s/blob/%s/%s", html, sha, path), "raw_url": fmt.Sprintf("%s/raw/%s/%s", html, sha, path),
			"contents_url": fmt.Sprintf("%s/contents/%s?ref=%s", api, path, sha),
		}
		if file.patch != "" {
			entry["patch"] = file.patch
		}
		if file.previous != "" {
			entry["previous_filename"] = file.previous
		}
		rendered = append(rendered, entry)
	}
	return rendered
}
