package verifier

import (
	"context"
	"errors"
	"maps"
	"math"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// NoLeeway is for Config.Leeway where clocks may not differ at all.
const NoLeeway time.Duration = -1

// Config says which tokens to accept. Issuer and Audience are mandatory.
type Config struct {
	// Issuer is the realm's issuer, <public url>/auth/realms/<realm>, compared as a whole.
	Issuer string
	// Audience is what this API is called in aud; a token made for another API is none for this.
	Audience []string
	// Algorithms are those to accept, of RS256, PS256 and ES256; by default RS256 and ES256.
	Algorithms []string
	// IDTokenAudience has the client ids whose ID tokens are accepted as well; by default none are. An ID token has no roles or projects.
	IDTokenAudience []string
	// SessionTokens accepts the session tokens of people, and of exchanged API keys, too. They are made for the whole realm.
	SessionTokens bool
	// Leeway is how far clocks may differ: 30 seconds by default, at most 60, or NoLeeway.
	Leeway time.Duration
	// JWKSURI is the address of the key set; by default the issuer is asked for it.
	JWKSURI string
	// Cooldown is the time between two fetches that unknown key ids may cause, by default 10 seconds.
	Cooldown time.Duration
	// Timeout is how long a fetch may take, by default 5 seconds.
	Timeout time.Duration
	// HTTPClient fetches keys and the feed; its redirects and cookies are not used. By default it is one of its own.
	HTTPClient *http.Client
	// Now is the clock that tokens are checked with, by default time.Now.
	Now func() time.Time
	// Recall follows the realm's feed of what was taken back, if it is set. Close then ends that.
	Recall *RecallConfig
}

// Identity is who calls, as an accepted token says.
type Identity struct {
	// Subject is the application's id, which never changes and is never given to another.
	Subject string
	// ClientID is the application's name.
	ClientID string
	// Roles are held on the whole realm, Projects by the name of a project. Roles that have ended since the token was issued are not there.
	Roles    []string
	Projects map[string][]string
	// Claims are all claims of the token. Numbers are float64.
	Claims map[string]any
}

// HasRole tells whether the caller holds a role on the realm.
func (i *Identity) HasRole(role string) bool { return slices.Contains(i.Roles, role) }

// HasProjectRole tells whether the caller holds a role on a project.
func (i *Identity) HasProjectRole(role, project string) bool {
	return slices.Contains(i.Projects[project], role)
}

// Verifier checks tokens of one issuer for one API. It may be used by several goroutines at once; make one and keep it.
type Verifier struct {
	issuer     string
	audience   map[kind]map[string]bool
	algorithms map[string]bool
	types      map[string]bool
	leeway     float64
	now        func() time.Time
	keys       *keySet
	recall     *recall
}

// New prepares to check tokens. Keys are fetched when the first token comes; the feed is followed at once.
func New(config Config) (*Verifier, error) {
	if err := withDefaults(&config); err != nil {
		return nil, err
	}
	v := &Verifier{
		issuer:     config.Issuer,
		algorithms: setOf(config.Algorithms),
		types:      map[string]bool{"at+jwt": true, "jwt": true},
		audience:   map[kind]map[string]bool{accessToken: setOf(config.Audience)},
		leeway:     max(config.Leeway, 0).Seconds(),
		now:        config.Now,
		keys:       newKeySet(config),
	}
	if len(config.IDTokenAudience) > 0 {
		v.audience[idToken] = setOf(config.IDTokenAudience)
	}
	if config.SessionTokens {
		v.audience[sessionToken] = setOf([]string{config.Issuer})
		v.types["session+jwt"] = true
	}
	if config.Recall != nil {
		v.recall = newRecall(config, v.keys)
		v.recall.start()
	}
	return v, nil
}

func setOf(values []string) map[string]bool {
	set := make(map[string]bool, len(values))
	for _, value := range values {
		set[value] = true
	}
	return set
}

func withDefaults(config *Config) error {
	if !isHTTP(config.Issuer) {
		return errors.New("Issuer takes an http or https URL: the realm's issuer, such as https://id.example.com/auth/realms/acme")
	}
	if len(config.Audience) == 0 || slices.Contains(config.Audience, "") {
		return errors.New("Audience is mandatory: name this API as the tokens' aud does")
	}
	if config.Leeway == 0 {
		config.Leeway = 30 * time.Second
	}
	if config.Leeway < NoLeeway || config.Leeway > time.Minute {
		return errors.New("Leeway takes up to 60 seconds, or NoLeeway")
	}
	if len(config.Algorithms) == 0 {
		config.Algorithms = []string{"RS256", "ES256"}
	}
	for _, algorithm := range config.Algorithms {
		if !slices.Contains([]string{"RS256", "PS256", "ES256"}, algorithm) {
			return errors.New("Algorithms takes RS256, PS256 and ES256")
		}
	}
	if config.JWKSURI != "" && !isHTTP(config.JWKSURI) {
		return errors.New("JWKSURI takes an http or https URL")
	}
	if config.Cooldown < 0 || config.Timeout < 0 {
		return errors.New("Cooldown and Timeout take no negative durations")
	}
	if config.Cooldown == 0 {
		config.Cooldown = 10 * time.Second
	}
	if config.Timeout == 0 {
		config.Timeout = 5 * time.Second
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	return config.Recall.check()
}

// Close stops following the feed. Tokens are not to be verified afterwards.
func (v *Verifier) Close() {
	if v.recall != nil {
		v.recall.stop()
	}
}

// Verify checks a bearer token as it was sent and returns who calls, an *InvalidTokenError (answer 401) or an *UnavailableError (503).
func (v *Verifier) Verify(ctx context.Context, text string) (*Identity, error) {
	t, err := v.open(ctx, text)
	if err != nil {
		return nil, err
	}
	if t.claims["iss"] != v.issuer {
		return nil, refuse(Issuer, "The token was issued by another issuer.")
	}
	now := seconds(v.now())
	if err := checkTimes(t.claims, now, v.leeway); err != nil {
		return nil, err
	}
	kind := t.kind()
	audience := v.audience[kind]
	if audience == nil {
		if kind == idToken {
			return nil, refuse(Type, "This is an ID token; send access_token, which came with it.")
		}
		return nil, refuse(Type, "The token is not of the kind expected here.")
	}
	if !hasAudience(t.claims, audience) {
		return nil, refuse(Audience, "The token is meant for another API.")
	}
	if v.recall != nil {
		if err := v.recall.check(ctx, t); err != nil {
			return nil, err
		}
	}
	identity := identityOf(t.claims, now)
	if identity == nil {
		return nil, refuse(Claims, "The token's claims do not have the expected form.")
	}
	if _, isBound := t.claims["cnf"]; isBound { // whatever to, and to nothing: who sends it has shown none of it
		return nil, refuse(Bound, "The token is bound to a key or a certificate, and this API takes no proofs. Fetch one that is not bound.")
	}
	return identity, nil
}

func seconds(at time.Time) float64 { return float64(at.Unix()) + float64(at.Nanosecond())/1e9 }

// open checks header and signature (RFC 8725 §3).
func (v *Verifier) open(ctx context.Context, text string) (*token, error) {
	t, err := readUnverified(text, maxToken)
	if err != nil {
		return nil, err
	}
	for name := range maps.Keys(t.header) {
		if !slices.Contains([]string{"alg", "kid", "typ", "cty"}, name) {
			return nil, refuse(Header, "The token's header has members that are not supported.")
		}
	}
	if cty, has := t.header["cty"]; has {
		if _, isText := cty.(string); !isText {
			return nil, refuse(Header, "The token's header has members that are not supported.")
		}
	}
	algorithm, isText := t.header["alg"].(string)
	if !isText || !v.algorithms[algorithm] {
		return nil, refuse(Algorithm, "The token's algorithm is not accepted here.")
	}
	if !v.types[t.typ()] {
		return nil, refuse(Type, "The token is not of the type expected here.")
	}
	kid, isText := t.header["kid"].(string)
	if _, has := t.header["kid"]; has && (!isText || utf8.RuneCountInString(kid) > maxKid) {
		return nil, refuse(Header, "The token's kid is not a usable text.")
	}
	var key *publicKey
	if isText {
		if key, err = v.keys.find(ctx, kid, algorithm); err != nil {
			return nil, err
		}
	}
	if key == nil || !t.isSignedBy(key) {
		return nil, refuse(Signature, "The token's signature does not match any key that is accepted here.")
	}
	return t, nil
}

// identityOf returns who calls, or nil where the claims have another form.
func identityOf(claims map[string]any, now float64) *Identity {
	identity := &Identity{Roles: []string{}, Projects: map[string][]string{}, Claims: claims}
	var ok bool
	if identity.Subject, ok = claims["sub"].(string); !ok {
		return nil
	}
	client, has := claims["client_id"]
	if !has {
		client, has = claims["azp"]
	}
	if identity.ClientID, ok = client.(string); has && !ok {
		return nil
	}
	if access, has := claims["realm_access"]; has {
		held, ok := access.(map[string]any)
		if !ok {
			return nil
		}
		if _, has := held["roles"]; !has {
			held = maps.Clone(held)
			held["roles"] = []any{}
		}
		if identity.Roles, ok = live(held, now); !ok {
			return nil
		}
	}
	if projects, has := claims["projects"]; has {
		list, ok := projects.([]any)
		if !ok {
			return nil
		}
		for _, entry := range list {
			project, _ := entry.(map[string]any)
			name, isText := project["name"].(string)
			roles, ok := live(project, now)
			if !isText || !ok {
				return nil
			}
			identity.Projects[name] = roles
		}
	}
	return identity
}

// live returns roles without those whose end, which stands beside them, has passed: a token outlives them.
func live(held map[string]any, now float64) ([]string, bool) {
	list, isList := held["roles"].([]any)
	ends, isObject := held["ends"].(map[string]any)
	if _, has := held["ends"]; !isList || has && !isObject {
		return nil, false
	}
	roles := []string{}
	for _, each := range list {
		role, ok := each.(string)
		if !ok {
			return nil, false
		}
		end := math.Inf(1)
		if value, has := ends[role]; has {
			if end, ok = value.(float64); !ok {
				return nil, false
			}
		}
		if now < end && !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	return roles, true
}
