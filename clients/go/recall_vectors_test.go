package verifier

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"testing"
	"time"
)

type story struct {
	Name     string          `json:"name"`
	Settings json.RawMessage `json:"settings"`
	FailOpen int             `json:"fail_open_seconds"`
	Steps    []struct {
		Time   float64 `json:"time"`
		Feed   *string `json:"feed"`
		Token  *string `json:"token"`
		Expect any     `json:"expect"`
	} `json:"steps"`
}

func TestFeedsAndTokensOfTheVectors(t *testing.T) {
	var file struct {
		Settings json.RawMessage `json:"settings"`
		KeySet   json.RawMessage `json:"key_set"`
		Stories  []story         `json:"stories"`
	}
	read(t, "recall.json", &file)
	if len(file.Stories) < 20 {
		t.Fatalf("there are %d stories only", len(file.Stories))
	}
	for _, story := range file.Stories {
		t.Run(story.Name, func(t *testing.T) {
			var settings vectorSettings
			for _, part := range []json.RawMessage{file.Settings, story.Settings} {
				if err := json.Unmarshal(part, &settings); err != nil {
					t.Fatal(err)
				}
			}
			config := settings.config()
			config.HTTPClient = &http.Client{Transport: issuerOf{settings.Issuer, file.KeySet}}
			var now time.Time
			config.Now = func() time.Time { return now }
			v, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			config.Recall = &RecallConfig{FailOpen: time.Duration(story.FailOpen) * time.Second}
			if err := withDefaults(&config); err != nil {
				t.Fatal(err)
			}
			v.recall = newRecall(config, v.keys)
			close(v.recall.tried)
			for number, step := range story.Steps {
				now = clockAt(step.Time)()
				var got any
				switch {
				case step.Token != nil:
					identity, err := v.Verify(t.Context(), *step.Token)
					verdict := asJSON(t, identity, err)
					var unavailable *UnavailableError
					if errors.As(err, &unavailable) {
						verdict = map[string]any{"refused": "unavailable"}
					}
					got = verdict
				case step.Feed != nil:
					_, err := v.recall.take(t.Context(), *step.Feed)
					got = believed(err)
				default:
					got = believed(v.recall.notModified())
				}
				if !reflect.DeepEqual(got, step.Expect) {
					t.Errorf("step %d: %v instead of %v", number, got, step.Expect)
				}
			}
		})
	}
}

func believed(err error) string {
	if err != nil {
		return "refused"
	}
	return "taken"
}
