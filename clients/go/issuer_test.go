package verifier

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// issuer is one on loopback: discovery, a key set and a feed, as the test wants them.
type issuer struct {
	url string

	lock     sync.Mutex
	status   int
	maxAge   int
	keys     []map[string]any
	document map[string]any
	requests []string
	feed     http.HandlerFunc
}

type signingKey struct {
	kid     string
	private *ecdsa.PrivateKey
}

func newKey(t *testing.T, kid string) signingKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signingKey{kid, private}
}

func (k signingKey) jwk() map[string]any {
	raw, _ := k.private.PublicKey.ECDH()
	point := raw.Bytes()
	encode := base64.RawURLEncoding.EncodeToString
	return map[string]any{"kty": "EC", "crv": "P-256", "kid": k.kid, "use": "sig", "alg": "ES256", "x": encode(point[1:33]), "y": encode(point[33:])}
}

func (k signingKey) sign(typ string, claims map[string]any) string {
	encode := base64.RawURLEncoding.EncodeToString
	header, _ := json.Marshal(map[string]string{"alg": "ES256", "kid": k.kid, "typ": typ})
	body, _ := json.Marshal(claims)
	unsigned := encode(header) + "." + encode(body)
	hashed := sha256.Sum256([]byte(unsigned))
	r, s, _ := ecdsa.Sign(rand.Reader, k.private, hashed[:])
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return unsigned + "." + encode(signature)
}

const api = "https://api.example"

func (i *issuer) token(key signingKey, changes map[string]any) string {
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": i.url, "sub": "1f0e", "aud": api, "client_id": "ci-bot", "typ": "Bearer", "iat": now, "exp": now + 60, "jti": "j",
		"realm_access": map[string]any{"roles": []string{"viewer"}},
		"projects":     []any{map[string]any{"name": "vision", "roles": []string{"researcher"}}},
	}
	maps.Copy(claims, changes)
	return key.sign("at+jwt", claims)
}

func newIssuer(t *testing.T, keys ...signingKey) *issuer {
	t.Helper()
	i := &issuer{status: http.StatusOK, maxAge: 300}
	for _, key := range keys {
		i.keys = append(i.keys, key.jwk())
	}
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	i.url = server.URL + "/auth/realms/acme"
	return i
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.lock.Lock()
	i.requests = append(i.requests, r.URL.Path)
	feed := i.feed
	i.lock.Unlock()
	if strings.HasSuffix(r.URL.Path, "/revocations") {
		if feed == nil {
			http.NotFound(w, r)
			return
		}
		feed(w, r)
		return
	}
	i.lock.Lock()
	defer i.lock.Unlock()
	var answer any = map[string]any{"keys": i.keys}
	if strings.HasSuffix(r.URL.Path, discoveryPath) {
		answer = i.document
		if i.document == nil {
			answer = map[string]any{"issuer": i.url, "jwks_uri": i.url + "/certs"}
		}
	}
	w.Header().Set("Cache-Control", "max-age="+strconv.Itoa(i.maxAge))
	w.Header().Set("Location", "/elsewhere")
	w.WriteHeader(i.status)
	_ = json.NewEncoder(w).Encode(answer)
}

// set changes the issuer while it serves.
func (i *issuer) set(change func()) {
	i.lock.Lock()
	defer i.lock.Unlock()
	change()
}

func (i *issuer) count(suffix string) int {
	i.lock.Lock()
	defer i.lock.Unlock()
	found := 0
	for _, path := range i.requests {
		if strings.HasSuffix(path, suffix) {
			found++
		}
	}
	return found
}
