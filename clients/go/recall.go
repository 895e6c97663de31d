package verifier

import (
	"context"
	"crypto/sha256"
	"errors"
	"math"
	"regexp"
	"sync"
	"time"
)

const (
	maxFeed    = 4_000_000 // characters of the longest feed that is read
	ahead      = 60        // seconds by which causes are announced, and by which documents may be early, late or older than one before
	feedType   = "revocations+jwt"
	maxInteger = 1 << 53
)

// FailOpenForever is for RecallConfig.FailOpen: tokens are accepted on what is known, for however long there is no news.
const FailOpenForever time.Duration = math.MaxInt64

// RecallConfig says how to follow the realm's feed of what was taken back. Its zero value will do.
type RecallConfig struct {
	// URL is the address of the feed; by default the issuer's.
	URL string
	// FailOpen is how long tokens are accepted after the feed was last heard of: 60 seconds by default, at least 5, or FailOpenForever.
	FailOpen time.Duration
}

func (c *RecallConfig) check() error {
	if c != nil && c.URL != "" && !isHTTP(c.URL) {
		return errors.New("Recall.URL takes an http or https URL")
	}
	if c != nil && c.FailOpen != 0 && c.FailOpen < 5*time.Second {
		return errors.New("Recall.FailOpen takes 5 seconds at least, or FailOpenForever")
	}
	return nil
}

// causeID is what names a cause in the feed: the beginning of a hash over its kind and what it names.
type causeID [8]byte

func idOf(kind, name string) causeID {
	hashed := sha256.Sum256([]byte(kind + "\x00" + name))
	return causeID(hashed[:8])
}

// document is what a feed says, once it was found to be right.
type document struct {
	iat, exp, position, since, life float64
	hasSince, closed                bool
	epoch                           string
	tokensFrom                      float64
	causes                          map[string]map[causeID]float64 // times in seconds since 1970
	lifted                          map[string][]causeID
}

// recall knows what was taken back, and follows the feed of it.
type recall struct {
	issuer   string
	address  string
	failOpen time.Duration
	timeout  time.Duration
	now      func() time.Time
	keys     *keySet
	accepted map[string]bool
	cancel   context.CancelFunc
	ended    chan struct{}
	tried    chan struct{} // closed once the feed was asked for the first time

	lock  sync.RWMutex
	doc   *document // the last one, with all causes that are known
	heard time.Time // when the feed was last heard of
}

func newRecall(config Config, keys *keySet) *recall {
	address, failOpen := config.Recall.URL, config.Recall.FailOpen
	if address == "" {
		address = config.Issuer + "/protocol/realmgate/revocations"
	}
	if failOpen == 0 {
		failOpen = time.Minute
	}
	return &recall{
		issuer:   config.Issuer,
		address:  address,
		failOpen: failOpen,
		timeout:  config.Timeout,
		now:      config.Now,
		keys:     keys,
		accepted: setOf(config.Algorithms),
		ended:    make(chan struct{}),
		tried:    make(chan struct{}),
	}
}

// check refuses a token that was taken back.
func (r *recall) check(ctx context.Context, t *token) error {
	select {
	case <-r.tried:
	default: // just begun: the first answer takes moments
		select {
		case <-r.tried:
		case <-ctx.Done():
		case <-time.After(r.timeout):
		}
	}
	r.lock.RLock()
	defer r.lock.RUnlock()
	now := r.now()
	if r.doc == nil {
		return &UnavailableError{Message: "What was recalled in " + r.issuer + " is not known yet. Check that this API reaches " + r.address + "."}
	}
	if now.Sub(r.heard) > r.failOpen {
		return &UnavailableError{Message: "Nothing was heard of what was recalled in " + r.issuer + " for too long. Check that this API reaches " + r.address + "."}
	}
	if reason := r.doc.reason(t, seconds(now)); reason != "" {
		return refuse(Recalled, "The token does not count any more: "+reason+".")
	}
	return nil
}

// reasons say for each kind of cause what has happened.
var reasons = map[string]string{
	"subject":     "whose token it is, or who acted for them, was disabled or deleted",
	"session":     "its session has ended",
	"key":         "the API key that it was exchanged for does not work any more",
	"grant":       "the sign-in that it belongs to has ended",
	"token":       "it was revoked, or a token that it was exchanged for",
	"signing_key": "the key that signed it was revoked",
	"issuer":      "the issuer by whose word it was issued is not trusted any more",
	"rule":        "the rule by which it was issued admits nobody any more",
	"credential":  "the secret or the public key that it was fetched with was taken away",
}

// at returns when something was taken back.
func (d *document) at(kind string, name any) (float64, bool) {
	text, isText := name.(string)
	causes := d.causes[kind]
	if len(causes) == 0 || !isText {
		return 0, false
	}
	at, has := causes[idOf(kind, text)]
	return at, has
}

// reason returns why a token does not count any more; empty if nothing speaks against it.
func (d *document) reason(t *token, now float64) string {
	iat, _ := t.claims["iat"].(float64)
	if d.closed {
		return "its issuer works no more"
	}
	if iat < d.tokensFrom {
		return "it is of before a backup was put back"
	}
	for _, each := range namedBy(t) {
		at, has := d.at(each.kind, each.name)
		isOver := (each.kind == "issuer" || each.kind == "rule") && iat > at
		if has && at <= now+ahead && !isOver { // few are announced before they count
			return reasons[each.kind]
		}
	}
	return ""
}

type named struct {
	kind string
	name any
}

// namedBy returns what of a token causes are compared with.
func namedBy(t *token) []named {
	all := make([]named, 0, 8)
	all = append(all, named{"subject", t.claims["sub"]}, named{"token", t.claims["jti"]}, named{"signing_key", t.header["kid"]})
	all = append(all, named{"grant", t.claims["grant_id"]}, named{"token", t.claims["origin"]}, named{"credential", t.claims["credential"]})
	if t.typ() == "session+jwt" {
		all = append(all, named{"session", t.claims["sid"]}, named{"key", t.claims["key"]})
	}
	origins, _ := t.claims["origin"].([]any)
	for _, origin := range origins {
		all = append(all, named{"token", origin})
	}
	credentials, _ := t.claims["credential"].([]any)
	for _, credential := range credentials {
		all = append(all, named{"credential", credential})
	}
	all = append(all, admittedBy(t.claims)...)
	for actor, isObject := t.claims["act"].(map[string]any); isObject; actor, isObject = actor["act"].(map[string]any) {
		all = append(all, named{"subject", actor["sub"]})
		all = append(all, admittedBy(actor)...)
	}
	return all
}

// admittedBy returns by whose word the subject of a token was admitted, or who acts in it.
func admittedBy(claims map[string]any) []named {
	if federation, isObject := claims["federation"].(map[string]any); isObject {
		return []named{{"issuer", federation["iss"]}, {"rule", federation["rule"]}}
	}
	return nil
}

// notModified notes that the document which is there still is the newest, unless that has ended.
func (r *recall) notModified() error {
	r.lock.Lock()
	defer r.lock.Unlock()
	if now := r.now(); r.doc != nil && seconds(now) < r.doc.exp+ahead {
		r.heard = now
		return nil
	}
	return errors.New("nothing is new about a feed that has ended")
}

// take reads a document and keeps what it says; news tells whether anything has changed.
func (r *recall) take(ctx context.Context, text string) (news bool, err error) {
	t, err := r.open(ctx, text)
	if err != nil {
		return false, err
	}
	next, err := readDocument(t.claims)
	if err != nil {
		return false, err
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	now := r.now()
	if err := r.mayFollow(next, t, seconds(now)); err != nil {
		return false, err
	}
	last := r.doc
	if next.hasSince {
		next.add(last, seconds(now))
	}
	r.doc, r.heard = next, now
	return last == nil || last.epoch != next.epoch || last.position != next.position, nil
}

// open checks header and signature of a document.
func (r *recall) open(ctx context.Context, text string) (*token, error) {
	t, err := readUnverified(text, maxFeed)
	if err != nil {
		return nil, err
	}
	algorithm, _ := t.header["alg"].(string)
	kid, isText := t.header["kid"].(string)
	if len(t.header) != 3 || t.header["typ"] != feedType || !r.accepted[algorithm] || !isText {
		return nil, errors.New("the feed has another header")
	}
	key, err := r.keys.find(ctx, kid, algorithm)
	if err != nil {
		return nil, err
	}
	if key == nil || !t.isSignedBy(key) {
		return nil, errors.New("the feed is not signed by a key of the realm")
	}
	return t, nil
}

// mayFollow tells why a document does not follow what is there; nil where it does.
func (r *recall) mayFollow(next *document, t *token, now float64) error {
	last := r.doc
	switch {
	case t.claims["iss"] != r.issuer:
		return errors.New("the feed is another issuer's")
	case next.iat > now+ahead || next.exp < now-ahead:
		return errors.New("the feed is from another time")
	case last == nil && next.hasSince:
		return errors.New("the feed adds to what is not there")
	case last == nil:
		return nil
	case last.recalls(t.header["kid"]):
		return errors.New("the feed is signed by a key that was recalled")
	case next.iat < last.iat-ahead:
		return errors.New("the feed is older than the one before")
	case next.epoch != last.epoch && next.hasSince:
		return errors.New("the feed adds to another timeline")
	case next.epoch == last.epoch && (next.position < last.position || next.since > last.position):
		return errors.New("the feed does not continue the one before")
	}
	return nil
}

// recalls tells whether a signing key was revoked: then it signs no document either.
func (d *document) recalls(kid any) bool {
	_, has := d.at("signing_key", kid)
	return has
}

// add puts what was known before under what a document adds.
func (d *document) add(last *document, now float64) {
	for kind, causes := range last.causes {
		if d.causes[kind] == nil {
			d.causes[kind] = map[causeID]float64{}
		}
		for id, at := range causes {
			if _, replaced := d.causes[kind][id]; !replaced && at+d.life >= now {
				d.causes[kind][id] = at
			}
		}
	}
	for kind, ids := range d.lifted {
		for _, id := range ids {
			delete(d.causes[kind], id)
		}
	}
}

var epochPattern = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// readDocument reads claims; every one must have its type.
func readDocument(claims map[string]any) (*document, error) {
	d := &document{causes: map[string]map[causeID]float64{}, lifted: map[string][]causeID{}, tokensFrom: math.Inf(-1)}
	wrong := errors.New("the feed has members of another type")
	for name, into := range map[string]*float64{"iat": &d.iat, "exp": &d.exp, "position": &d.position, "life": &d.life} {
		if !integer(claims[name], into) || *into < 0 {
			return nil, wrong
		}
	}
	var base float64
	causes, isObject := claims["causes"].(map[string]any)
	epoch, isText := claims["epoch"].(string)
	if !integer(claims["base"], &base) || !isObject || !isText || !epochPattern.MatchString(epoch) {
		return nil, wrong
	}
	d.epoch = epoch
	if since, has := claims["since"]; has {
		if d.hasSince = integer(since, &d.since) && d.since >= 0; !d.hasSince {
			return nil, wrong
		}
	}
	var ok bool
	if closed, has := claims["closed"]; has {
		if d.closed, ok = closed.(bool); !ok {
			return nil, wrong
		}
	}
	if from, has := claims["tokens_from"]; has {
		if d.tokensFrom, ok = from.(float64); !ok {
			return nil, wrong
		}
	}
	for kind, value := range causes {
		if d.causes[kind], ok = readCauses(value, base); !ok {
			return nil, wrong
		}
	}
	lifted, has := claims["lifted"]
	kinds, isObject := lifted.(map[string]any)
	if has && !isObject {
		return nil, wrong
	}
	for kind, value := range kinds {
		if d.lifted[kind], ok = readIDs(value); !ok {
			return nil, wrong
		}
	}
	return d, nil
}

func integer(value any, into *float64) bool {
	number, isNumber := value.(float64)
	*into = number
	return isNumber && number == math.Trunc(number) && math.Abs(number) <= maxInteger
}

func readCauses(value any, base float64) (map[causeID]float64, bool) {
	members, _ := value.(map[string]any)
	ids, ok := readIDs(members["ids"])
	steps, isList := members["at"].([]any)
	if !ok || !isList || len(ids) != len(steps) {
		return nil, false
	}
	causes, at := make(map[causeID]float64, len(ids)), base
	for i, id := range ids {
		var step float64
		if !integer(steps[i], &step) || i > 0 && step < 0 {
			return nil, false
		}
		at += step
		causes[id] = at
	}
	return causes, true
}

func readIDs(value any) ([]causeID, bool) {
	text, isText := value.(string)
	data, err := strictBase64.DecodeString(text)
	if !isText || err != nil || text != "" && !isSegment(text) || len(data)%8 != 0 {
		return nil, false
	}
	ids := make([]causeID, 0, len(data)/8)
	for ; len(data) > 0; data = data[8:] {
		ids = append(ids, causeID(data[:8]))
	}
	return ids, true
}
