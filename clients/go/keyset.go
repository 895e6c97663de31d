package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"time"
)

const (
	maxDocument    = 1_000_000
	defaultMaxAge  = 300 * time.Second
	longestMaxAge  = 86_400 * time.Second
	staleFor       = 600 * time.Second // for which known keys serve past max-age when the issuer cannot be reached
	shortestPause  = time.Second       // between two tries while there are no keys
	discoveryPath  = "/.well-known/openid-configuration"
	acceptedHeader = "application/json"
)

// keySet has the keys of one issuer. They are fetched again when the max-age they came with is over, and when a token names an unknown
// kid; for the latter at most once in a cooldown, so that made-up key ids cannot be used to flood the issuer.
type keySet struct {
	issuer            string
	client            *http.Client
	cooldown, timeout time.Duration
	now               func() time.Time
	fetching          chan struct{} // holds one: whoever fetches

	lock                        sync.RWMutex
	jwksURI                     string
	keys                        map[string]*publicKey
	expires, lastFetch, nextTry time.Time
}

func isHTTP(address string) bool {
	parsed, err := url.Parse(address)
	return err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Host != ""
}

func newKeySet(config Config) *keySet {
	return &keySet{
		issuer:   config.Issuer,
		jwksURI:  config.JWKSURI,
		client:   withoutRedirects(config.HTTPClient),
		cooldown: config.Cooldown,
		timeout:  config.Timeout,
		now:      time.Now,
		fetching: make(chan struct{}, 1),
	}
}

// withoutRedirects returns a client that follows none: keys come from the configured issuer, and from nowhere else.
func withoutRedirects(client *http.Client) *http.Client {
	own := http.Client{}
	if client != nil {
		own = *client
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	own.Jar = nil
	return &own
}

// find returns the key with this id if it is for this algorithm.
func (s *keySet) find(ctx context.Context, kid, algorithm string) (*publicKey, error) {
	if s.mustFetch(kid) {
		if err := s.fetchOnce(ctx, kid); err != nil {
			return nil, err
		}
	}
	s.lock.RLock()
	defer s.lock.RUnlock()
	if !s.now().Before(s.expires.Add(staleFor)) {
		return nil, &UnavailableError{Message: "The keys of " + s.issuer + " could not be fetched."}
	}
	if key := s.keys[kid]; key != nil && key.algorithm == algorithm {
		return key, nil
	}
	return nil, nil
}

func (s *keySet) mustFetch(kid string) bool {
	s.lock.RLock()
	defer s.lock.RUnlock()
	now := s.now()
	if !now.Before(s.expires) {
		return !now.Before(s.nextTry)
	}
	return s.keys[kid] == nil && !now.Before(s.lastFetch.Add(s.cooldown))
}

func (s *keySet) mayServe(kid string) bool {
	s.lock.RLock()
	defer s.lock.RUnlock()
	return s.keys[kid] != nil && s.now().Before(s.expires.Add(staleFor))
}

// fetchOnce fetches the keys unless somebody else does. Who holds a key that may still serve does not wait for that.
func (s *keySet) fetchOnce(ctx context.Context, kid string) error {
	select {
	case s.fetching <- struct{}{}:
	default:
		if s.mayServe(kid) {
			return nil
		}
		select {
		case s.fetching <- struct{}{}:
		case <-ctx.Done():
			return &UnavailableError{"The keys of " + s.issuer + " were not fetched in time.", ctx.Err()}
		}
	}
	defer func() { <-s.fetching }()
	if !s.mustFetch(kid) {
		return nil
	}
	// one caller who hangs up must not keep the keys from all others
	return s.refresh(context.WithoutCancel(ctx))
}

func (s *keySet) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*s.timeout)
	defer cancel()
	s.lock.Lock()
	s.lastFetch = s.now()
	s.lock.Unlock()
	keys, maxAge, err := s.load(ctx)
	s.lock.Lock()
	defer s.lock.Unlock()
	now := s.now()
	if err == nil {
		s.keys, s.expires = keys, now.Add(maxAge)
		return nil
	}
	if now.Before(s.expires.Add(staleFor)) {
		s.nextTry = now.Add(s.cooldown)
		return nil
	}
	s.nextTry = now.Add(min(s.cooldown, shortestPause))
	return &UnavailableError{"The keys of " + s.issuer + " cannot be fetched", err}
}

func (s *keySet) load(ctx context.Context) (map[string]*publicKey, time.Duration, error) {
	address, err := s.address(ctx)
	if err != nil {
		return nil, 0, err
	}
	document, maxAge, err := s.get(ctx, address)
	if err != nil {
		return nil, 0, err
	}
	keys := usableKeys(document)
	if len(keys) == 0 {
		return nil, 0, errors.New("the key set holds no usable key")
	}
	return keys, maxAge, nil
}

// address asks the issuer where its keys are (OpenID Connect Discovery §4; the issuer must name itself, §4.3).
func (s *keySet) address(ctx context.Context) (string, error) {
	s.lock.RLock()
	known := s.jwksURI
	s.lock.RUnlock()
	if known != "" {
		return known, nil
	}
	document, _, err := s.get(ctx, s.issuer+discoveryPath)
	if err != nil {
		return "", err
	}
	if document["issuer"] != s.issuer {
		return "", errors.New("its discovery document names another issuer")
	}
	address, _ := document["jwks_uri"].(string)
	if !isHTTP(address) {
		return "", errors.New("its discovery document has no jwks_uri")
	}
	if isSecure(s.issuer) && !isSecure(address) {
		return "", errors.New("its keys are not served over https")
	}
	s.lock.Lock()
	s.jwksURI = address
	s.lock.Unlock()
	return address, nil
}

func isSecure(address string) bool {
	parsed, err := url.Parse(address)
	return err == nil && parsed.Scheme == "https"
}

var maxAgePattern = regexp.MustCompile(`max-age=([0-9]{1,9})`)

func (s *keySet) get(ctx context.Context, address string) (map[string]any, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Accept", acceptedHeader)
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return nil, 0, fmt.Errorf("%s answered %d", address, answer.StatusCode)
	}
	body, err := readAtMost(answer.Body, maxDocument)
	if err != nil {
		return nil, 0, err
	}
	var document map[string]any
	if err := json.Unmarshal(body, &document); err != nil || document == nil {
		return nil, 0, fmt.Errorf("%s did not answer a JSON object", address)
	}
	maxAge := defaultMaxAge
	if match := maxAgePattern.FindStringSubmatch(answer.Header.Get("Cache-Control")); match != nil {
		seconds, _ := strconv.Atoi(match[1])
		maxAge = min(time.Duration(seconds)*time.Second, longestMaxAge)
	}
	return document, maxAge, nil
}

func readAtMost(body io.Reader, size int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, size+1))
	if err == nil && int64(len(data)) > size {
		err = fmt.Errorf("the answer is larger than %d bytes", size)
	}
	return data, err
}
