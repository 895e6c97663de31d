package verifier

import (
	"encoding/base64"
	"net/http"
	"sync"
	"testing"
	"time"
)

// feed is one that a test adds to; whoever waits for news hears of them at once.
type feed struct {
	lock     sync.Mutex
	position int
	names    []string // subjects that were taken back
	changed  chan struct{}
	asked    []http.Header
	queries  []string
	status   int
}

func (f *feed) takeBack(subject string) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.position++
	f.names = append(f.names, subject)
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *feed) serve(issuer *issuer, key signingKey) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.lock.Lock()
		f.asked, f.queries = append(f.asked, r.Header.Clone()), append(f.queries, r.URL.RawQuery)
		changed, isNew := f.changed, r.Header.Get("If-None-Match") != f.etag()
		f.lock.Unlock()
		if !isNew {
			select {
			case <-changed:
			case <-r.Context().Done():
				return
			}
		}
		f.lock.Lock()
		defer f.lock.Unlock()
		if f.status != 0 {
			w.WriteHeader(f.status)
			return
		}
		var ids []byte
		at := []int64{}
		now := time.Now().Unix()
		for _, name := range f.names {
			id := idOf("subject", name)
			ids, at = append(ids, id[:]...), append(at, 0)
		}
		w.Header().Set("ETag", f.etag())
		_, _ = w.Write([]byte(key.sign(feedType, map[string]any{
			"iss": issuer.url, "iat": now, "exp": now + 60, "epoch": "e", "position": f.position, "life": 36120, "base": now,
			"causes": map[string]any{"subject": map[string]any{"ids": base64.RawURLEncoding.EncodeToString(ids), "at": at}},
		})))
	}
}

func (f *feed) etag() string { return `"e.` + string(rune('0'+f.position)) + `"` }

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("%s did not happen", what)
}

func TestFeedIsFollowedInTheBackground(t *testing.T) {
	key := newKey(t, "ec-1")
	issuer := newIssuer(t, key)
	feed := &feed{changed: make(chan struct{})}
	issuer.set(func() { issuer.feed = feed.serve(issuer, key) })
	v := mustVerifier(t, Config{Issuer: issuer.url, Audience: []string{api}, Recall: &RecallConfig{}})
	mine, other := issuer.token(key, nil), issuer.token(key, map[string]any{"sub": "other"})
	_, err := v.Verify(t.Context(), mine)
	expect(t, err, "")
	for _, subject := range []string{"somebody", "1f0e"} {
		feed.takeBack(subject)
	}
	eventually(t, "the refusal", func() bool {
		_, err := v.Verify(t.Context(), mine)
		return err != nil
	})
	_, err = v.Verify(t.Context(), mine)
	expect(t, err, "recalled")
	_, err = v.Verify(t.Context(), other)
	expect(t, err, "")
	eventually(t, "the next question", func() bool {
		feed.lock.Lock()
		defer feed.lock.Unlock()
		last := len(feed.asked) - 1
		return feed.asked[last].Get("If-None-Match") == `"e.2"` && feed.queries[last] == "since=e.2"
	})
	feed.lock.Lock()
	defer feed.lock.Unlock()
	if first := feed.asked[0]; first.Get("If-None-Match") != "" || first.Get("Prefer") != "" || feed.queries[0] != "" {
		t.Errorf("the first question is for the whole: %v", first)
	}
	if wait := feed.asked[len(feed.asked)-1].Get("Prefer"); wait != "wait=25" {
		t.Errorf("%s", wait)
	}
}

func TestWithoutAFeedNoTokenIsAccepted(t *testing.T) {
	key := newKey(t, "ec-1")
	issuer := newIssuer(t, key)
	v := mustVerifier(t, Config{Issuer: issuer.url, Audience: []string{api}, Recall: &RecallConfig{}})
	_, err := v.Verify(t.Context(), issuer.token(key, nil))
	expect(t, err, "unavailable")
	_, err = v.Verify(t.Context(), issuer.token(key, map[string]any{"exp": 1}))
	expect(t, err, "expired")
}

func TestFeedByAStrangerIsNotBelieved(t *testing.T) {
	key, stranger := newKey(t, "ec-1"), newKey(t, "ec-1")
	issuer := newIssuer(t, key)
	feed := &feed{changed: make(chan struct{})}
	issuer.set(func() { issuer.feed = feed.serve(issuer, stranger) })
	v := mustVerifier(t, Config{Issuer: issuer.url, Audience: []string{api}, Recall: &RecallConfig{}})
	_, err := v.Verify(t.Context(), issuer.token(key, nil))
	expect(t, err, "unavailable")
}

func TestFeedThatFailsIsAskedAgainAndLeftAlone(t *testing.T) {
	key := newKey(t, "ec-1")
	issuer := newIssuer(t, key)
	feed := &feed{changed: make(chan struct{}), status: http.StatusInternalServerError}
	issuer.set(func() { issuer.feed = feed.serve(issuer, key) })
	v := mustVerifier(t, Config{Issuer: issuer.url, Audience: []string{api}, Recall: &RecallConfig{}})
	_, err := v.Verify(t.Context(), issuer.token(key, nil))
	expect(t, err, "unavailable")
	feed.lock.Lock()
	feed.status = 0
	asked := len(feed.asked)
	feed.lock.Unlock()
	if asked > 2 {
		t.Errorf("%d questions at once", asked)
	}
	eventually(t, "recovery", func() bool {
		_, err := v.Verify(t.Context(), issuer.token(key, nil))
		return err == nil
	})
}

func TestCloseEndsTheGoroutine(t *testing.T) {
	key := newKey(t, "ec-1")
	issuer := newIssuer(t, key)
	feed := &feed{changed: make(chan struct{})}
	issuer.set(func() { issuer.feed = feed.serve(issuer, key) })
	v := mustVerifier(t, Config{Issuer: issuer.url, Audience: []string{api}, Recall: &RecallConfig{}})
	_, err := v.Verify(t.Context(), issuer.token(key, nil))
	expect(t, err, "")
	v.Close()
	select {
	case <-v.recall.ended:
	default:
		t.Error("it still runs")
	}
}

func BenchmarkRecallCheck(b *testing.B) {
	r := &recall{now: time.Now, heard: time.Now(), failOpen: time.Hour, tried: make(chan struct{})}
	close(r.tried)
	causes := map[causeID]float64{}
	for count := range 10_000 {
		causes[idOf("subject", string(rune(count)))] = 0
	}
	r.doc = &document{causes: map[string]map[causeID]float64{"subject": causes, "token": causes, "grant": causes, "signing_key": causes}}
	t := &token{header: map[string]any{"kid": "ec-1"}, claims: map[string]any{"sub": "1f0e", "jti": "j", "grant_id": "g", "iat": 1.0}}
	for b.Loop() {
		if err := r.check(b.Context(), t); err != nil {
			b.Fatal(err)
		}
	}
}
