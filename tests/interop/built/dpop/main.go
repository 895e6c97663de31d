// Fetches a token bound to a key of its own (RFC 9449), with proofs that go-jose signs, and uses it.
//
// Arguments: ISSUER ALGORITHM CLIENT_ID, and CLIENT_SECRET in the environment. It prints what it saw as JSON.
package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func newKey(algorithm string) crypto.Signer {
	switch algorithm {
	case "ES256":
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		check(err)
		return key
	case "EdDSA":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		check(err)
		return key
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check(err)
	return key
}

// client makes a proof for each request, and remembers the nonce that it was told last.
type client struct {
	algorithm string
	key       crypto.Signer
	nonce     string
	retries   int
}

func (c *client) proof(method, target, token string) string {
	options := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(c.algorithm), Key: c.key}, options)
	check(err)
	id := make([]byte, 16)
	_, err = rand.Read(id)
	check(err)
	claims := map[string]any{
		"jti": base64.RawURLEncoding.EncodeToString(id), "htm": method, "htu": target, "iat": time.Now().Unix(),
	}
	if token != "" {
		digest := sha256.Sum256([]byte(token))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(digest[:])
	}
	if c.nonce != "" {
		claims["nonce"] = c.nonce
	}
	written, err := jwt.Signed(signer).Claims(claims).Serialize()
	check(err)
	return written
}

// do sends a request with a proof, and again with the nonce if it is told one.
func (c *client) do(method, target, body, token, scheme string) (int, map[string]any) {
	for attempt := 0; ; attempt++ {
		request, err := http.NewRequest(method, target, strings.NewReader(body))
		check(err)
		if body != "" {
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if token != "" {
			request.Header.Set("Authorization", scheme+" "+token)
		}
		if scheme != "Bearer" {
			request.Header.Set("DPoP", c.proof(method, target, token))
		}
		response, err := http.DefaultClient.Do(request)
		check(err)
		var read bytes.Buffer
		_, err = read.ReadFrom(response.Body)
		check(err)
		check(response.Body.Close())
		said := map[string]any{}
		_ = json.Unmarshal(read.Bytes(), &said)
		nonce := response.Header.Get("DPoP-Nonce")
		if nonce != "" && nonce != c.nonce && response.StatusCode >= 400 && attempt == 0 {
			c.nonce = nonce
			c.retries++
			continue
		}
		return response.StatusCode, said
	}
}

func main() {
	issuer, algorithm, id := os.Args[1], os.Args[2], os.Args[3]
	c := &client{algorithm: algorithm, key: newKey(algorithm)}
	base := issuer + "/protocol/openid-connect"
	form := url.Values{
		"grant_type": {"client_credentials"}, "scope": {"openid"}, "client_id": {id}, "client_secret": {os.Getenv("CLIENT_SECRET")},
	}
	status, answer := c.do("POST", base+"/token", form.Encode(), "", "")
	if status != http.StatusOK {
		check(fmt.Errorf("the token endpoint answered %d: %v", status, answer))
	}
	token := answer["access_token"].(string)
	opened, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	check(err)
	var claims struct {
		Confirmation map[string]string `json:"cnf"`
	}
	check(opened.UnsafeClaimsWithoutVerification(&claims))
	thumbprint, err := (&jose.JSONWebKey{Key: c.key.Public()}).Thumbprint(crypto.SHA256)
	check(err)
	withProof, _ := c.do("GET", base+"/userinfo", "", token, "DPoP")
	asBearer, _ := c.do("GET", base+"/userinfo", "", token, "Bearer")
	other := &client{algorithm: algorithm, key: newKey(algorithm), nonce: c.nonce}
	ofAnother, _ := other.do("GET", base+"/userinfo", "", token, "DPoP")
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"token_type": answer["token_type"],
		"bound":      claims.Confirmation["jkt"] == base64.RawURLEncoding.EncodeToString(thumbprint),
		"with_proof": withProof, "as_bearer": asBearer, "of_another": ofAnother, "was_told_a_nonce": c.retries > 0,
	}))
}
