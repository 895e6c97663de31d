package verifier

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func mustVerifier(t *testing.T, config Config) *Verifier {
	t.Helper()
	v, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// expect fails unless an error is of a kind: "", a Cause, or "unavailable".
func expect(t *testing.T, err error, wanted string) {
	t.Helper()
	got := ""
	var invalid *InvalidTokenError
	var unavailable *UnavailableError
	switch {
	case errors.As(err, &invalid):
		got = string(invalid.Cause)
	case errors.As(err, &unavailable):
		got = "unavailable"
	case err != nil:
		got = err.Error()
	}
	if got != wanted {
		t.Errorf("%q (%v) instead of %q", got, err, wanted)
	}
}

func TestGoodTokenSaysWhoCalls(t *testing.T) {
	key := newKey(t, "ec-1")
	issuer := newIssuer(t, key)
	v := mustVerifier(t, Config{Issuer: issuer.url, Audience: []string{api}})
	for range 3 {
		identity, err := v.Verify(t.Context(), issuer.token(key, nil))
		expect(t, err, "")
		if identity.Subject != "1f0e" || identity.ClientID != "ci-bot" || identity.Claims["jti"] != "j" {
			t.Errorf("%+v", identity)
		}
		if !identity.HasRole("viewer") || identity.HasRole("researcher") || !identity.HasProjectRole("researcher", "vision") || identity.HasProjectRole("researcher", "speech") {
			t.Errorf("%+v", identity)
		}
	}
	if issuer.count("/certs") != 1 || issuer.count(discoveryPath) != 1 {
		t.Errorf("keys are fetched once and kept, not %v", issuer.requests)
	}
}

func TestUnsafeSetUpIsRefused(t *testing.T) {
	good := Config{Issuer: "https://id.example", Audience: []string{api}}
	for name, change := range map[string]func(*Config){
		"Issuer":          func(c *Config) { c.Issuer = "file:///etc/passwd" },
		"Audience":        func(c *Config) { c.Audience = nil },
		"Audience is":     func(c *Config) { c.Audience = []string{api, ""} },
		"Leeway":          func(c *Config) { c.Leeway = 61 * time.Second },
		"Algorithms":      func(c *Config) { c.Algorithms = []string{"none"} },
		"JWKSURI":         func(c *Config) { c.JWKSURI = "ftp://x/" },
		"Cooldown":        func(c *Config) { c.Cooldown = -1 },
		"Recall.URL":      func(c *Config) { c.Recall = &RecallConfig{URL: "x"} },
		"Recall.FailOpen": func(c *Config) { c.Recall = &RecallConfig{FailOpen: time.Second} },
	} {
		config := good
		change(&config)
		if _, err := New(config); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// atTime gives a verifier's key set a clock that the test sets.
func atTime(v *Verifier) func(seconds int) {
	var lock sync.Mutex
	began := time.Now()
	now := began
	v.keys.now = func() time.Time { lock.Lock(); defer lock.Unlock(); return now }
	return func(seconds int) {
		lock.Lock()
		defer lock.Unlock()
		now = began.Add(time.Duration(seconds) * time.Second)
	}
}

func TestNewKeyIsFoundAndMadeUpKeysFloodNobody(t *testing.T) {
	old, new := newKey(t, "ec-1"), newKey(t, "ec-2")
	issuer := newIssuer(t, old)
	v := mustVerifier(t, Config{Issuer: issuer.url, Audience: []string{api}})
	at := atTime(v)
	_, err := v.Verify(t.Context(), issuer.token(old, nil))
	expect(t, err, "")
	issuer.set(func() { issuer.keys = append(issuer.keys, new.jwk()) })
	_, err = v.Verify(t.Context(), issuer.token(new, nil))
	expect(t, err, "signature")
	at(10)
	_, err = v.Verify(t.Context(), issuer.token(new, nil))
	expect(t, err, "")
	for second := range 30 {
		at(10 + second)
		stranger := new
		stranger.kid = "made-up-" + strconv.Itoa(second)
		_, err = v.Verify(t.Context(), issuer.token(stranger, nil))
		expect(t, err, "signature")
	}
	if fetched := issuer.count("/certs"); fetched != 4 {
		t.Errorf("%d fetches", fetched)
	}
}

func TestKeyThatLeftTheSetIsRefusedAfterMaxAge(t *testing.T) {
	old, new := newKey(t, "ec-1"), newKey(t, "ec-2")
	issuer := newIssuer(t, old, new)
	v := mustVerifier(t, Config{Issuer: issuer.url, Audience: []string{api}})
	at := atTime(v)
	text := issuer.token(old, nil)
	_, err := v.Verify(t.Context(), text)
	expect(t, err, "")
	issuer.set(func() { issuer.keys = issuer.keys[1:] })
	at(299)
	_, err = v.Verify(t.Context(), text)
	expect(t, err, "")
	at(300)
	_, err = v.Verify(t.Context(), text)
	expect(t, err, "signature")
}

func TestKnownKeysOutliveAShortOutageAndNotALongOne(t *testing.T) {
	key := newKey(t, "ec-1")
	issuer := newIssuer(t, key)
	v := mustVerifier(t, Config{Issuer: issuer.url, Audience: []string{api}})
	at := atTime(v)
	text := issuer.token(key, nil)
	_, err := v.Verify(t.Context(), text)
	expect(t, err, "")
	issuer.set(func() { issuer.status = http.StatusServiceUnavailable })
	at(300 + 599)
	_, err = v.Verify(t.Context(), text)
	expect(t, err, "")
	at(300 + 600)
	_, err = v.Verify(t.Context(), text)
	expect(t, err, "unavailable")
	issuer.set(func() { issuer.status = http.StatusOK })
	at(300 + 620)
	_, err = v.Verify(t.Context(), text)
	expect(t, err, "")
}

func TestDiscoveryThatIsWrongIsNotBelieved(t *testing.T) {
	key := newKey(t, "ec-1")
	issuer := newIssuer(t, key)
	for _, document := range []map[string]any{
		{"issuer": "https://evil.example", "jwks_uri": issuer.url + "/certs"},
		{"issuer": issuer.url},
		{"issuer": issuer.url + "/", "jwks_uri": issuer.url + "/certs"},
		{"issuer": issuer.url, "jwks_uri": "file:///etc/passwd"},
		{"issuer": issuer.url, "jwks_uri": 1},
		{"jwks_uri": issuer.url + "/certs"},
	} {
		issuer.set(func() { issuer.document = document })
		v := mustVerifier(t, Config{Issuer: issuer.url, Audience: []string{api}})
		_, err := v.Verify(t.Context(), issuer.token(key, nil))
		expect(t, err, "unavailable")
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	key := newKey(t, "ec-1")
	issuer := newIssuer(t, key)
	issuer.status = http.StatusFound
	v := mustVerifier(t, Config{Issuer: issuer.url, Audience: []string{api}})
	_, err := v.Verify(t.Context(), issuer.token(key, nil))
	expect(t, err, "unavailable")
	if issuer.count("/elsewhere") != 0 {
		t.Error("the redirect was followed")
	}
}

func TestWhoHoldsTheKeyDoesNotWaitForAHangingIssuer(t *testing.T) {
	key := newKey(t, "ec-1")
	issuer := newIssuer(t, key)
	v := mustVerifier(t, Config{Issuer: issuer.url, Audience: []string{api}})
	at := atTime(v)
	text := issuer.token(key, nil)
	_, err := v.Verify(t.Context(), text)
	expect(t, err, "")
	at(301)
	v.keys.fetching <- struct{}{} // somebody fetches, and hangs
	_, err = v.Verify(t.Context(), text)
	expect(t, err, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = v.Verify(ctx, issuer.token(newKey(t, "unknown"), nil))
	expect(t, err, "unavailable")
	<-v.keys.fetching
}

func TestManyAtOnceCauseOneFetch(t *testing.T) {
	key := newKey(t, "ec-1")
	issuer := newIssuer(t, key)
	v := mustVerifier(t, Config{Issuer: issuer.url, Audience: []string{api}})
	var group sync.WaitGroup
	for range 20 {
		group.Add(1)
		go func() {
			defer group.Done()
			_, err := v.Verify(context.Background(), issuer.token(key, nil))
			expect(t, err, "")
		}()
	}
	group.Wait()
	if fetched := issuer.count("/certs"); fetched != 1 {
		t.Errorf("%d fetches", fetched)
	}
}

func TestMiddleware(t *testing.T) {
	key := newKey(t, "ec-1")
	issuer := newIssuer(t, key)
	v := mustVerifier(t, Config{Issuer: issuer.url, Audience: []string{api}})
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if identity := IdentityFrom(r.Context()); identity != nil {
			_, _ = w.Write([]byte(identity.ClientID))
		}
	})
	project := func(r *http.Request) string { return r.PathValue("project") }
	mux := http.NewServeMux()
	mux.Handle("/any", v.Middleware(hello, AllowPreflights()))
	mux.Handle("/editors", v.Middleware(hello, RequireRoles("editor", "administrator")))
	mux.Handle("/projects/{project}", v.Middleware(hello, RequireProjectRoles(project, "researcher")))
	good := "Bearer " + issuer.token(key, nil)
	bound := `Bearer error="invalid_token", error_description="The token is bound to a key or a certificate, and this API takes no proofs. `
	for name, each := range map[string]struct {
		path      string
		headers   []string
		status    int
		challenge string
	}{
		"good":              {"/any", []string{good}, 200, ""},
		"scheme in capital": {"/any", []string{strings.Replace(good, "Bearer", "BEARER", 1)}, 200, ""},
		"none":              {"/any", nil, 401, "Bearer"},
		"twice":             {"/any", []string{good, good}, 400, `Bearer error="invalid_request"`},
		"basic":             {"/any", []string{"Basic eDp5"}, 400, `Bearer error="invalid_request"`},
		"two tokens":        {"/any", []string{good + " x"}, 400, `Bearer error="invalid_request"`},
		"newline":           {"/any", []string{good + "\n"}, 400, `Bearer error="invalid_request"`},
		"expired":           {"/any", []string{"Bearer " + issuer.token(key, map[string]any{"exp": 1})}, 401, `Bearer error="invalid_token"`},
		"bound to a key":    {"/any", []string{"Bearer " + issuer.token(key, map[string]any{"cnf": map[string]any{"jkt": "x"}})}, 401, bound},
		"bound, as DPoP":    {"/any", []string{"DPoP " + issuer.token(key, map[string]any{"cnf": map[string]any{"jkt": "x"}})}, 400, `Bearer error="invalid_request"`},
		"bound to nothing":  {"/editors", []string{"Bearer " + issuer.token(key, map[string]any{"cnf": map[string]any{}})}, 401, bound},
		"role is missing":   {"/editors", []string{good}, 403, `Bearer error="insufficient_scope"`},
		"role on a project": {"/projects/vision", []string{good}, 200, ""},
		"another project":   {"/projects/speech", []string{good}, 403, `Bearer error="insufficient_scope"`},
	} {
		request := httptest.NewRequest(http.MethodGet, each.path, nil)
		request.Header["Authorization"] = each.headers
		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, request)
		if got := answer.Header().Get("WWW-Authenticate"); answer.Code != each.status || !strings.HasPrefix(got, each.challenge) || each.challenge == "Bearer" && got != "Bearer" {
			t.Errorf("%s: %d %q", name, answer.Code, got)
		}
	}
	preflight := httptest.NewRequest(http.MethodOptions, "/any", nil)
	preflight.Header.Set("Origin", "https://app.example")
	preflight.Header.Set("Access-Control-Request-Method", "PUT")
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, preflight)
	if answer.Code != 200 || answer.Body.Len() != 0 {
		t.Errorf("preflight: %d", answer.Code)
	}
	preflight.Header.Del("Origin")
	answer = httptest.NewRecorder()
	mux.ServeHTTP(answer, preflight)
	if answer.Code != 401 {
		t.Errorf("OPTIONS that is none: %d", answer.Code)
	}
}

func TestNoKeysIs503(t *testing.T) {
	key := newKey(t, "ec-1")
	issuer := newIssuer(t, key)
	issuer.status = http.StatusInternalServerError
	v := mustVerifier(t, Config{Issuer: issuer.url, Audience: []string{api}})
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header.Set("Authorization", "Bearer "+issuer.token(key, nil))
	answer := httptest.NewRecorder()
	v.Middleware(http.NotFoundHandler()).ServeHTTP(answer, request)
	if answer.Code != 503 || answer.Header().Get("Retry-After") != "5" {
		t.Errorf("%d", answer.Code)
	}
}
