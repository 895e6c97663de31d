package verifier

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	longPoll     = 25 * time.Second // for which the server may wait for news
	longestPause = 15 * time.Second // after errors, where the server asks for no more
	longestRetry = 10 * time.Minute // however long the server asks for
)

// failure is an answer that was none, and how long the server asks to be left alone.
type failure struct {
	err        error
	retryAfter time.Duration
	refused    bool // what was answered does not follow what is there
}

func (f *failure) Error() string { return f.err.Error() }

func (r *recall) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() {
		defer close(r.ended)
		r.follow(ctx)
	}()
}

func (r *recall) stop() {
	r.cancel()
	<-r.ended
}

// follow asks for the feed again and again until the context ends.
func (r *recall) follow(ctx context.Context) {
	failures, etag := 0, ""
	for ctx.Err() == nil {
		began := time.Now()
		next, news, fault := r.ask(ctx, etag)
		r.triedOnce()
		pause := time.Duration(0)
		switch {
		case fault != nil:
			if fault.refused { // the next question is for the whole
				etag = ""
			}
			pause = max(min(time.Second<<min(failures, 4), longestPause), min(fault.retryAfter, longestRetry))
			failures++
		default:
			etag, failures = next, 0
			if !news {
				pause = time.Second - time.Since(began)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (r *recall) triedOnce() {
	select {
	case <-r.tried:
	default:
		close(r.tried)
	}
}

// wait returns for how long the server may wait for news: shorter than that nothing may be heard.
func (r *recall) wait() time.Duration { return max(time.Second, min(longPoll, r.failOpen/2)) }

// ask asks for the feed once: with the ETag of what is there it waits for news of it, without one it asks for the whole.
func (r *recall) ask(ctx context.Context, etag string) (next string, news bool, fault *failure) {
	ctx, cancel := context.WithTimeout(ctx, longPoll+r.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.address, nil)
	if err != nil {
		return "", false, &failure{err: err}
	}
	request.Header.Set("Accept", "application/jwt")
	r.lock.RLock()
	if etag != "" && r.doc != nil {
		request.Header.Set("If-None-Match", etag)
		request.Header.Set("Prefer", "wait="+strconv.Itoa(int(r.wait().Seconds())))
		since := r.doc.epoch + "." + strconv.FormatInt(int64(r.doc.position), 10)
		request.URL.RawQuery = withSince(request.URL.Query(), since)
	}
	r.lock.RUnlock()
	response, err := r.keys.client.Do(request)
	if err != nil {
		return "", false, &failure{err: err}
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusNotModified:
		if err := r.notModified(); err != nil {
			return "", false, &failure{err: err, refused: true}
		}
		return etag, false, nil
	case http.StatusOK:
	default:
		fault := &failure{err: fmt.Errorf("%s answered %d", r.address, response.StatusCode)}
		if response.StatusCode == http.StatusTooManyRequests || response.StatusCode == http.StatusServiceUnavailable {
			seconds, _ := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 16)
			fault.retryAfter = time.Duration(seconds) * time.Second
		}
		return "", false, fault
	}
	body, err := readAtMost(response.Body, maxFeed)
	if err != nil {
		return "", false, &failure{err: err}
	}
	if news, err = r.take(ctx, string(body)); err != nil {
		return "", false, &failure{err: err, refused: true}
	}
	return response.Header.Get("ETag"), news, nil
}

func withSince(query url.Values, since string) string {
	query.Set("since", since)
	return query.Encode()
}
