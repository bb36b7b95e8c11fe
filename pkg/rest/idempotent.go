package rest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"drpd/pkg/resource"
)

// Limits of requests with an Idempotency-Key.
const (
	replyLife   = 24 * time.Hour // how long a reply is kept
	maxReplies  = 50000          // kept at once
	maxReply    = 256 << 10      // bytes of a reply that is kept
	maxKeyLen   = 128            // bytes of a key
	maxPrunings = 100            // old replies removed with one new
)

// keyHeader is ours, as the IETF's draft has it: the same key from the same
// caller for the same request is carried out once and answered alike.
const keyHeader = "Idempotency-Key"

// KeptReply is what a request with an Idempotency-Key was answered. It is
// written in the same update as what the request did.
type KeptReply struct {
	Id      string    // time and Caller, so that the oldest come first
	Caller  string    // digest of who called and of the key
	Request string    // digest of method, URL and body
	Made    time.Time // kept for 24 hours
	Status  int       // 0: carried out, but what was answered is not known
	ETag    string
	Reply   json.RawMessage `json:",omitempty"`
}

// KeptReplies by Id.
var KeptReplies = &resource.Kind[KeptReply]{
	Name: "kept_replies", Private: true, Key: func(o *KeptReply) string { return o.Id },
	Indexes: []resource.Index[KeptReply]{{Name: "Caller", Of: func(o *KeptReply) []string { return []string{o.Caller} }}},
}

// idempotent carries out requests with an Idempotency-Key once.
func (s *server) idempotent(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		key, m := c.Request().Header.Get(keyHeader), c.Request().Method
		if key == "" || m == http.MethodGet || m == http.MethodHead || s.cfg.DB.Kind(KeptReplies.Name) == nil {
			return next(c)
		}
		k, err := s.keep(c, key)
		if err != nil {
			return err
		}
		if !s.inHand.add(k.Caller) {
			return failf(http.StatusConflict, "", "a request with this %s is being carried out: try again", keyHeader)
		}
		defer s.inHand.remove(k.Caller)
		if old := s.kept(k.Caller, k.Made); old != nil {
			return replay(c, old, k.Request)
		}
		return s.once(c, k, next)
	}
}

// keep makes the record of a request, and gives the body back to it.
func (s *server) keep(c echo.Context, key string) (*KeptReply, error) {
	r := c.Request()
	secret := strings.HasSuffix(c.Path(), "/password") || strings.HasSuffix(c.Path(), "/whoami")
	if len(key) > maxKeyLen || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, failf(http.StatusBadRequest, "", "%s has at most %d printable characters", keyHeader, maxKeyLen)
	}
	if secret || r.ContentLength != 0 && !strings.Contains(r.Header.Get(echo.HeaderContentType), "application/json") {
		return nil, failf(http.StatusBadRequest, "", "no %s here: it is for JSON without passwords and tokens", keyHeader)
	}
	if KeptReplies.Len(s.cfg.DB.View()) >= maxReplies {
		return nil, failf(http.StatusTooManyRequests, "", "%d replies are kept already: send no %s or wait", maxReplies, keyHeader)
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, s.cfg.PackLimit))
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	k := &KeptReply{Caller: digest(identity(c).Name, key), Request: digest(r.Method, r.URL.String(), string(data)), Made: s.cfg.Now().UTC()}
	k.Id = k.Made.Format("2006-01-02T15:04:05.000000000") + "/" + k.Caller
	return k, nil
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = h.Write([]byte(p + "\x00")) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil))
}

// kept finds the reply to an earlier request that is not too old.
func (s *server) kept(caller string, now time.Time) *KeptReply {
	for old := range KeptReplies.By(s.cfg.DB.View(), "Caller", caller) {
		if now.Sub(old.Made) < replyLife {
			return old
		}
	}
	return nil
}

func replay(c echo.Context, old *KeptReply, request string) error {
	switch {
	case old.Request != request:
		return failf(http.StatusUnprocessableEntity, "ValidationError", "this %s was used for another request: use each key for one", keyHeader)
	case old.Status == 0:
		return failf(http.StatusConflict, "", "the request was carried out at %s, but its answer was lost: look at the object", old.Made.Format(time.RFC3339))
	}
	c.Response().Header().Set("Idempotency-Replayed", "true")
	if old.ETag != "" {
		c.Response().Header().Set("ETag", old.ETag)
	}
	if len(old.Reply) == 0 {
		return c.NoContent(old.Status)
	}
	return c.JSONBlob(old.Status, old.Reply)
}

// once carries out a request. Whatever it changes first is saved together with
// its record, so that a crash cannot make it happen twice; the answer follows.
func (s *server) once(c echo.Context, k *KeptReply, next echo.HandlerFunc) error {
	c.Set(outcomeKey, k)
	also := func(tx *resource.Tx) error { return k.save(tx) }
	c.SetRequest(c.Request().WithContext(resource.WithAlso(c.Request().Context(), also)))
	tee := &teeWriter{ResponseWriter: c.Response().Writer}
	c.Response().Writer = tee
	if err := next(c); err != nil {
		c.Error(err)
	}
	c.Response().Writer = tee.ResponseWriter
	status := c.Response().Status
	text := bytes.TrimSpace(tee.kept.Bytes())
	if status >= 500 || status == http.StatusForbidden || tee.tooMuch || len(text) > 0 && !json.Valid(text) {
		return nil // 403: the caller may be allowed it meanwhile
	}
	k.Status, k.ETag, k.Reply = status, c.Response().Header().Get("ETag"), text
	ctx := context.WithoutCancel(c.Request().Context())
	if err := s.cfg.DB.Update(resource.WithAlso(ctx, nil), k.save); err != nil {
		s.cfg.Log.Warn("reply not kept", "request", requestID(c), "err", err)
	}
	return nil
}

func (k *KeptReply) save(tx *resource.Tx) error {
	var old []string
	for o := range KeptReplies.All(tx) {
		if len(old) == maxPrunings || tx.Now().Sub(o.Made) < replyLife {
			break
		}
		old = append(old, o.Id)
	}
	for _, id := range old {
		if err := KeptReplies.Delete(tx, id); err != nil {
			return err
		}
	}
	saved := *k
	return KeptReplies.Put(tx, &saved)
}

const outcomeKey = "outcome"

// outcome notes, inside the update, what the reply will be.
func outcome(c echo.Context, status int, o resource.Object) {
	if k, ok := c.Get(outcomeKey).(*KeptReply); ok && len(o.JSON) <= maxReply {
		k.Status, k.Reply = status, o.JSON
	}
}

// teeWriter keeps what is answered.
type teeWriter struct {
	http.ResponseWriter
	kept    bytes.Buffer
	tooMuch bool
}

func (t *teeWriter) Write(data []byte) (int, error) {
	if t.tooMuch = t.tooMuch || t.kept.Len()+len(data) > maxReply; !t.tooMuch {
		t.kept.Write(data)
	}
	return t.ResponseWriter.Write(data)
}

// Unwrap is for http.ResponseController.
func (t *teeWriter) Unwrap() http.ResponseWriter { return t.ResponseWriter }
