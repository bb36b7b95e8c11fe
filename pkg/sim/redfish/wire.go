package redfish

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
)

// send answers with a body and its ETag.
func send(w http.ResponseWriter, r *http.Request, body object) {
	data := encode(body)
	tag := etag(data)
	w.Header().Set("ETag", tag)
	if match := r.Header.Get("If-None-Match"); match != "" && r.Method == http.MethodGet && matches(match, tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	write(w, http.StatusOK, data)
}

func write(w http.ResponseWriter, status int, data []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client is gone: nobody to tell
}

// encode sorts the keys, so that equal bodies have equal bytes and ETags.
func encode(body object) []byte {
	data, err := json.Marshal(body)
	if err != nil {
		panic("redfish: a body of strings, numbers and lists does not encode: " + err.Error())
	}
	return append(data, '\n')
}

func etag(data []byte) string {
	sum := sha256.Sum256(data)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}

// matches compares an If-Match or If-None-Match header with a tag. Weak tags
// are taken as good, as clients send back whatever they were given.
func matches(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
		if one == "*" || one == tag {
			return true
		}
	}
	return false
}

// decode reads a JSON object from the request; no problem is nil.
func decode(r *http.Request, into any) *problem {
	if kind := r.Header.Get("Content-Type"); kind != "" {
		media, _, err := mime.ParseMediaType(kind)
		if err != nil || media != "application/json" {
			return &problem{http.StatusUnsupportedMediaType, unsupportedMedia(kind)}
		}
	}
	data, err := io.ReadAll(r.Body)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return &problem{http.StatusRequestEntityTooLarge, tooLarge()}
	}
	if err != nil {
		return bad(malformedJSON(err))
	}
	if err := json.Unmarshal(data, into); err != nil {
		return bad(malformedJSON(err))
	}
	return nil
}
