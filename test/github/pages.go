package github

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	defaultPerPage = 30
	maxPerPage     = 100
)

// page is the slice of a list that a request asks for.
type page struct{ number, size int }

func (c *call) page() page {
	return page{number: positive(c.query.Get("page"), 1), size: min(positive(c.query.Get("per_page"), defaultPerPage), maxPerPage)}
}

func positive(text string, fallback int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return fallback
	}
	return n
}

// bounds are the half-open limits of the page in a list of total entries.
func (p page) bounds(total int) (from, to int) {
	from = min((p.number-1)*p.size, total)
	return from, min(from+p.size, total)
}

func (p page) pages(total int) int { return max(1, (total+p.size-1)/p.size) }

// listed answers with one page of items, each rendered, and the Link header.
func listed[T any](c *call, items []T, render func(T) object) (reply, error) {
	entries, header := pageOf(c, items, render)
	return reply{status: http.StatusOK, body: entries, header: header}, nil
}

func pageOf[T any](c *call, items []T, render func(T) object) ([]object, http.Header) {
	p := c.page()
	from, to := p.bounds(len(items))
	entries := make([]object, 0, to-from)
	for _, item := range items[from:to] {
		entries = append(entries, render(item))
	}
	return entries, c.links(p, len(items))
}

// links builds the Link header of RFC 8288 in GitHub's order: prev, next, last, first.
func (c *call) links(p page, total int) http.Header {
	last := p.pages(total)
	header := http.Header{}
	if last <= 1 && p.number <= 1 {
		return header
	}
	var parts []string
	add := func(rel string, number int) {
		query := url.Values{}
		for key, values := range c.query {
			query[key] = values
		}
		query.Set("page", strconv.Itoa(number))
		parts = append(parts, fmt.Sprintf(`<%s%s?%s>; rel=%q`, c.URL(), c.request.URL.EscapedPath(), query.Encode(), rel))
	}
	if p.number > 1 {
		add("prev", min(p.number-1, last))
	}
	if p.number < last {
		add("next", p.number+1)
		add("last", last)
	}
	if p.number > 1 {
		add("first", 1)
	}
	header.Set("Link", strings.Join(parts, ", "))
	return header
}
