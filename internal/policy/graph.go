// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import "slices"

// Cycle gives the circle that Environment start is on or that its upstreams lead into, and nil where there is none.
// environments maps the name of every Environment to its spec.after; names that are no keys have no upstreams.
//
// The names are in the order in which releases would flow: each comes after the one before it, and the first is repeated at the
// end. A circle that start is on wins over the others, then the nearest, then the shortest. It begins with the name that sorts
// first, so that every Environment on a circle tells it in the same words.
func Cycle(environments map[string][]string, start string) []string {
	for _, name := range upstreamFirst(environments, start) {
		if circle := shortestCircle(environments, name); circle != nil {
			return tell(circle)
		}
	}
	return nil
}

// upstreamFirst lists start and everything upstream of it, the nearest first, each once.
func upstreamFirst(environments map[string][]string, start string) []string {
	order := []string{start}
	seen := map[string]bool{start: true}
	for i := 0; i < len(order); i++ {
		for _, up := range slices.Sorted(slices.Values(environments[order[i]])) {
			if !seen[up] {
				seen[up] = true
				order = append(order, up)
			}
		}
	}
	return order
}

// shortestCircle walks from name upstream until it meets name again, and gives the way there without the repeat: each name is
// followed by one that it comes after. It is nil when no way leads back.
func shortestCircle(environments map[string][]string, name string) []string {
	reachedFrom := map[string]string{}
	queue := []string{name}
	for i := 0; i < len(queue); i++ {
		current := queue[i]
		for _, up := range slices.Sorted(slices.Values(environments[current])) {
			if up == name {
				return wayTo(reachedFrom, current)
			}
			if _, seen := reachedFrom[up]; !seen {
				reachedFrom[up] = current
				queue = append(queue, up)
			}
		}
	}
	return nil
}

// wayTo gives the names from the beginning of the walk to last.
func wayTo(reachedFrom map[string]string, last string) []string {
	way := []string{last}
	for {
		before, more := reachedFrom[way[len(way)-1]]
		if !more {
			slices.Reverse(way)
			return way
		}
		way = append(way, before)
	}
}

// tell turns a circle of "comes after" round into the direction of flow, begins it with the name that sorts first and closes it.
func tell(circle []string) []string {
	slices.Reverse(circle)
	first := slices.Index(circle, slices.Min(circle))
	told := slices.Concat(circle[first:], circle[:first])
	return append(told, told[0])
}
