// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	gogithub "github.com/google/go-github/v92/github"
)

// maxReason bounds what is repeated of somebody else's words, in characters.
const maxReason = 300

// errIncomplete is for answers that are JSON but lack what they are for.
var errIncomplete = errors.New("its answer lacks what was asked for: check apiURL")

// explain turns whatever a call ended with into one typed error of this package. A cancelled context stays a
// cancelled context.
func explain(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	var limited *RateLimitedError
	if errors.As(err, &limited) {
		if limited.Doing != "" {
			doing = limited.Doing
		}
		return &RateLimitedError{Doing: doing, Kind: limited.Kind, RetryAt: limited.RetryAt}
	}
	var unreachable *UnreachableError
	if errors.As(err, &unreachable) && unreachable.Doing == "" {
		return &UnreachableError{Doing: doing, Reason: unreachable.Reason, Err: unreachable.Err}
	}
	if typed := alreadyTyped(err); typed != nil {
		return typed
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %w", doing, context.Canceled)
	}
	if answer := errorResponse(err); answer != nil && answer.Response != nil {
		return explainStatus(doing, answer)
	}
	return &UnreachableError{Doing: doing, Reason: networkReason(err), Err: err}
}

// alreadyTyped finds an error that the transport or the minting of a token has explained already.
func alreadyTyped(err error) error {
	var unauthorized *UnauthorizedError
	var denied *PermissionDeniedError
	var notFound *NotFoundError
	var unreachable *UnreachableError
	var refused *RefusedError
	switch {
	case errors.As(err, &unauthorized):
		return unauthorized
	case errors.As(err, &denied):
		return denied
	case errors.As(err, &notFound):
		return notFound
	case errors.As(err, &unreachable):
		return unreachable
	case errors.As(err, &refused):
		return refused
	default:
		return nil
	}
}

// errorResponse gives GitHub's answer out of the several types that the SDK has for it.
func errorResponse(err error) *gogithub.ErrorResponse {
	var answer *gogithub.ErrorResponse
	var twoFactor *gogithub.TwoFactorAuthError
	switch {
	case errors.As(err, &answer):
		return answer
	case errors.As(err, &twoFactor):
		return (*gogithub.ErrorResponse)(twoFactor)
	default:
		return nil
	}
}

// explainStatus goes by the status; rate limits have been taken out by the transport.
func explainStatus(doing string, answer *gogithub.ErrorResponse) error {
	status, header := answer.Response.StatusCode, answer.Response.Header
	message := wordsOf(answer)
	if status >= http.StatusInternalServerError {
		return &UnreachableError{Doing: doing, Reason: fmt.Sprintf("it answered %d", status), Err: answer}
	}
	if contentType := header.Get("Content-Type"); contentType != "" && !strings.Contains(contentType, "json") {
		return &UnreachableError{Doing: doing, Err: answer, Reason: fmt.Sprintf(
			"%s answered %d with %s, which GitHub's API does not: check apiURL, and proxies on the way",
			hostOf(answer.Response), status, bounded(contentType))}
	}
	switch status {
	case http.StatusNotFound, http.StatusGone:
		return &NotFoundError{Doing: doing}
	case http.StatusUnauthorized:
		return &UnauthorizedError{Doing: doing, Message: message}
	case http.StatusForbidden, http.StatusUnavailableForLegalReasons:
		if strings.Contains(strings.ToLower(message), "archived") {
			return &ArchivedError{Doing: doing}
		}
		return &PermissionDeniedError{Doing: doing, Message: message, Permissions: bounded(header.Get("X-Accepted-Github-Permissions"))}
	default:
		return &RefusedError{Doing: doing, Status: status, Message: message}
	}
}

// wordsOf joins GitHub's message with the details that it gave.
func wordsOf(answer *gogithub.ErrorResponse) string {
	words := []string{}
	if answer.Message != "" {
		words = append(words, answer.Message)
	}
	for _, detail := range answer.Errors {
		switch {
		case detail.Message != "":
			words = append(words, detail.Message)
		case detail.Field != "":
			words = append(words, strings.TrimSpace(detail.Field+" "+detail.Code))
		}
	}
	return bounded(strings.Join(words, "; "))
}

// networkReason says what is wrong in words that are the same each time that it is wrong: no ephemeral ports, no query
// strings.
func networkReason(err error) string {
	var urlError *url.Error
	if errors.As(err, &urlError) {
		err = urlError.Err
	}
	var (
		op        *net.OpError
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		syntax    *json.SyntaxError
		kind      *json.UnmarshalTypeError
		timeout   net.Error
	)
	switch {
	case errors.As(err, &authority):
		return "its certificate is signed by an unknown authority: put that authority's certificate into the Secret as " + keyCACert
	case errors.As(err, &hostname):
		return bounded("its certificate is for another host: " + hostname.Error())
	case errors.As(err, &invalid):
		// Go's own words name the present moment.
		return "its certificate has expired, is not valid yet, or may not be used for this: have it renewed"
	case errors.As(err, &dns):
		return bounded("the host name " + dns.Name + " cannot be resolved")
	case errors.Is(err, errBodyTooLong):
		return bounded(err.Error())
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "no answer came in time"
	case errors.Is(err, errBodyCut):
		return errBodyCut.Error()
	case errors.As(err, &op):
		return bounded(describeOp(op))
	case errors.As(err, &syntax), errors.As(err, &kind), errors.Is(err, io.ErrUnexpectedEOF):
		return "its answer is not the JSON that the API gives: check apiURL, and proxies on the way"
	case errors.Is(err, io.EOF):
		return "the connection was closed without an answer"
	default:
		return bounded(err.Error())
	}
}

// describeOp leaves the local address out, whose port differs each time.
func describeOp(op *net.OpError) string {
	where := ""
	if op.Addr != nil {
		where = " " + op.Addr.String()
	}
	return fmt.Sprintf("%s %s%s: %v", op.Op, op.Net, where, op.Err)
}

func hostOf(resp *http.Response) string {
	if resp.Request == nil || resp.Request.URL == nil {
		return "the server"
	}
	return resp.Request.URL.Host
}

// bounded makes somebody else's words fit for a condition: one line, printable, not too long.
func bounded(words string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		default:
			return r
		}
	}, words)
	return cut(strings.TrimSpace(clean), maxReason)
}

// cut shortens to a number of characters, and shows that it did.
func cut(text string, characters int) string {
	runes := []rune(text)
	if len(runes) <= characters {
		return text
	}
	return string(runes[:characters-1]) + "…"
}
