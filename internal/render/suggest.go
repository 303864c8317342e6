// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package render

import "strings"

// synonyms are words of other tools for what a variable says.
var synonyms = map[string]string{
	"name":     variableApp,
	"sha":      variableCommit,
	"revision": variableCommit,
	"shortsha": variableShortCommit,
	"ref":      variableBranch,
	"ns":       variableNamespace,
	"stage":    variableEnvironment,
	"semver":   variableVersion,
}

// suggest gives the variable that a wrong one was probably meant to be; empty where none is near.
func suggest(wrong string) string {
	lower := strings.ToLower(wrong)
	if meant, ok := synonyms[lower]; ok {
		return meant
	}
	best, bestDistance := "", len(wrong)/4+2
	for _, name := range Variables() {
		candidate := strings.ToLower(name)
		if abbreviates(lower, candidate) || abbreviates(candidate, lower) {
			return name
		}
		if distance := editDistance(lower, candidate); distance < bestDistance {
			best, bestDistance = name, distance
		}
	}
	return best
}

// minAbbreviation is the shortest beginning of a word that stands for it: ${env} means the environment, ${e} could be
// anything.
const minAbbreviation = 3

// abbreviates says whether short is the beginning of long.
func abbreviates(short, long string) bool {
	return len(short) >= minAbbreviation && strings.HasPrefix(long, short)
}

// editDistance is the Levenshtein distance in bytes: how many insertions, deletions and replacements lead from a to b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
