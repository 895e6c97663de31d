package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

type contextKey struct{}

// IdentityFrom returns who calls, in a handler behind Middleware; nil where a preflight was let through.
func IdentityFrom(ctx context.Context) *Identity {
	identity, _ := ctx.Value(contextKey{}).(*Identity)
	return identity
}

// Option changes what Middleware lets through.
type Option func(*guard)

type guard struct {
	roles      []string
	project    func(*http.Request) string
	preflights bool
}

// RequireRoles asks for one of these roles on the realm.
func RequireRoles(roles ...string) Option { return func(g *guard) { g.roles = roles } }

// RequireProjectRoles asks for one of these roles on the project that a request is about, such as
// func(r *http.Request) string { return r.PathValue("project") }.
func RequireProjectRoles(project func(*http.Request) string, roles ...string) Option {
	return func(g *guard) { g.project, g.roles = project, roles }
}

// AllowPreflights lets through what browsers ask, without any token, before a call from another origin. The next handler answers it.
func AllowPreflights() Option { return func(g *guard) { g.preflights = true } }

// Middleware lets only callers with an accepted token through. IdentityFrom then says who calls.
func (v *Verifier) Middleware(next http.Handler, options ...Option) http.Handler {
	g := guard{}
	for _, option := range options {
		option(&g)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.preflights && r.Method == http.MethodOptions && has(r, "Origin") && has(r, "Access-Control-Request-Method") {
			next.ServeHTTP(w, r)
			return
		}
		text, refusal := bearerToken(r.Header.Values("Authorization"))
		if refusal != nil {
			refusal.write(w)
			return
		}
		identity, err := v.Verify(r.Context(), text)
		var invalid *InvalidTokenError
		switch {
		case errors.As(err, &invalid):
			(&answer{http.StatusUnauthorized, "invalid_token", invalid.Message}).write(w)
		case err != nil:
			(&answer{http.StatusServiceUnavailable, "temporarily_unavailable", "No keys, or no news of what was recalled, to verify tokens with."}).write(w)
		case !g.allows(r, identity):
			(&answer{http.StatusForbidden, "insufficient_scope", g.sentence()}).write(w)
		default:
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, identity)))
		}
	})
}

func has(r *http.Request, header string) bool { return len(r.Header.Values(header)) > 0 }

func (g *guard) allows(r *http.Request, identity *Identity) bool {
	return len(g.roles) == 0 || slices.ContainsFunc(g.roles, func(role string) bool {
		if g.project != nil {
			return identity.HasProjectRole(role, g.project(r))
		}
		return identity.HasRole(role)
	})
}

func (g *guard) sentence() string {
	where := "on the realm"
	if g.project != nil {
		where = "on this project"
	}
	return "This call needs the role " + strings.Join(slices.Sorted(slices.Values(g.roles)), " or ") + " " + where + "."
}

var credentials = regexp.MustCompile(`^[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)$`)

// bearerToken returns the one bearer token of a request, of all its Authorization headers (RFC 6750 §2.1).
func bearerToken(headers []string) (string, *answer) {
	if len(headers) == 0 {
		return "", &answer{http.StatusUnauthorized, "", "This call needs an access token in the Authorization header."}
	}
	match := credentials.FindStringSubmatch(headers[0])
	if len(headers) > 1 || match == nil {
		return "", &answer{http.StatusBadRequest, "invalid_request", "Send one Authorization header with Bearer, a space and the token."}
	}
	return match[1], nil
}

// answer ends a request: a status, an error code (empty when nothing was presented), a sentence (RFC 6750 §3).
type answer struct {
	status             int
	error, description string
}

func (a *answer) write(w http.ResponseWriter) {
	code, challenge := a.error, "Bearer"
	if code == "" {
		code = "invalid_token"
	} else {
		challenge = `Bearer error="` + code + `", error_description="` + a.description + `"`
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if a.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	} else {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	w.WriteHeader(a.status)
	body, _ := json.Marshal(map[string]string{"error": code, "error_description": a.description})
	_, _ = w.Write(body)
}
