// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package render

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// maxName is the longest name that is given: the longest DNS label and the longest value of a label, because Flux copies
// names into labels.
const maxName = 63

// How much of a hash goes into a name, in hexadecimal digits. Where a hash only tells apart what has the same commit, or
// the same application and environment in one namespace, 32 bits are plenty; elsewhere it is 40.
const (
	shortHash = 8
	longHash  = 10
)

// shortCommitLength is how many digits of a commit people and names see.
const shortCommitLength = 12

// shortCommit is the first 12 digits of a commit.
func shortCommit(commit string) string {
	return commit[:min(len(commit), shortCommitLength)]
}

// SourceName names the GitRepository of a release: <repository>-<commit12>-<hash8>, a DNS label. The hash covers all that
// makes it another source: namespace, address, Secret, branch or tag, and the whole commit.
func SourceName(app *v1alpha1.Application, release *v1alpha1.Release) string {
	repository := app.Spec.Repository
	secret := ""
	if repository.SecretRef != nil {
		secret = repository.SecretRef.Name
	}
	ref := "branch"
	value := release.Spec.Branch
	if value == "" {
		ref, value = "tag", release.Spec.Tag
	}
	url := SourceURL(repository.URL)
	hash := hashOf(shortHash, app.Namespace, url, secret, ref, value, release.Spec.Commit)
	tail := shortCommit(release.Spec.Commit) + "-" + hash
	name := strings.TrimSuffix(url[strings.LastIndexByte(url, '/')+1:], ".git")
	if readable := cutName(sanitise(name, notInLabel), maxName-len(tail)-1); readable != "" {
		return readable + "-" + tail
	}
	return tail
}

// hashLike matches what shortHash digits of a hash look like.
var hashLike = regexp.MustCompile(`^[0-9a-f]{8}$`)

// KustomizationName names the Kustomization of an application in an environment: <app>-<environment>. It gets a hash,
// <app>-<environment>-<hash8>, where it would be longer than 63 characters, or where the environment's name has a dash: a
// in b-c and a-b in c would otherwise fight over one object.
func KustomizationName(application string, environment v1alpha1.EnvironmentName) string {
	env := string(environment)
	name := application + "-" + env
	if len(name) <= maxName && !strings.Contains(env, "-") && !hashLike.MatchString(env) {
		return name
	}
	return cutName(name, maxName-shortHash-1) + "-" + hashOf(shortHash, application, env)
}

// plainTag matches a tag that can stand in a name as it is: the labels of a DNS name.
var plainTag = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// confusingTag matches a tag that, plain in a name, could be taken for a hash at the end of it, or for a commit of an
// application with a longer name.
var confusingTag = regexp.MustCompile(`(^|-)([0-9a-f]{10}$|[0-9a-f]{12}(-|$))`)

// ReleaseName names a Release: <app>-<commit12>, and -<tag> where it has one. It is a DNS name of at most 63 characters, so
// that it can also be the value of a label. A tag that is not made of lower-case letters, digits, dashes and dots is
// written so that it is, and a hash of application, commit and tag follows: two tags never get one name. So does what would
// be too long. Two commits that agree in their first 12 digits do get one name: whoever finds a Release by its name compares
// its spec.commit.
func ReleaseName(application, commit, tag string) string {
	short := shortCommit(commit)
	name := application + "-" + short
	if tag != "" {
		name += "-" + tag
	}
	if len(name) <= maxName && (tag == "" || (plainTag.MatchString(tag) && !confusingTag.MatchString(tag))) {
		return name
	}
	tail := "-" + hashOf(longHash, application, commit, tag)
	head := cutName(application, maxName-len(tail)-len(short)-1) + "-" + short
	if readable := cutName(sanitise(tag, notInName), maxName-len(tail)-len(head)-1); readable != "" {
		head += "-" + readable
	}
	return head + tail
}

// PromotionName names a Promotion: <app>-<environment>-<hash10>, the hash of application, environment, release and attempt.
// It is a DNS label; where it would be too long, application and environment are cut.
func PromotionName(application string, environment v1alpha1.EnvironmentName, release string, attempt int32) string {
	hash := hashOf(longHash, application, string(environment), release, fmt.Sprint(attempt))
	return cutName(application+"-"+string(environment), maxName-longHash-1) + "-" + hash
}

// hashOf gives the first digits of a SHA-256 over the parts. Each part goes in with its length, so that the same text cut
// differently is another hash.
func hashOf(digits int, parts ...string) string {
	var all strings.Builder
	for _, part := range parts {
		fmt.Fprintf(&all, "%d:%s,", len(part), part)
	}
	sum := sha256.Sum256([]byte(all.String()))
	return hex.EncodeToString(sum[:])[:digits]
}

// What does not belong in a DNS label, and in a DNS name.
var (
	notInLabel = regexp.MustCompile(`[^a-z0-9]+`)
	notInName  = regexp.MustCompile(`[^a-z0-9]{2,}|[^a-z0-9.]`)
)

// sanitise writes a text in lower case with a dash for every stretch that does not belong.
func sanitise(text string, foreign *regexp.Regexp) string {
	return strings.Trim(foreign.ReplaceAllString(strings.ToLower(text), "-"), "-.")
}

// cutName cuts a name to a length, and then to the last character with which a name may end. A length of 0 or less gives
// nothing.
func cutName(name string, length int) string {
	return strings.TrimRight(name[:max(0, min(len(name), length))], "-.")
}
