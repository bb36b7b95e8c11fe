package redfish

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// maxSessions is how many a client may hold at once before it is refused.
const maxSessions = 16

// sessions are the logins by token.
type sessions struct {
	timeout time.Duration

	mu   sync.Mutex
	last int // number of the newest session
	open []session
}

type session struct {
	id, token string
	used      time.Time
}

// create makes a session, or says that there are too many.
func (s *sessions) create(now time.Time) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	if len(s.open) >= maxSessions {
		return session{}, false
	}
	s.last++
	made := session{id: strconv.Itoa(s.last), token: rand.Text(), used: now}
	s.open = append(s.open, made)
	return made, true
}

// valid checks a token and notes its use.
func (s *sessions) valid(token string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	found := false
	for i := range s.open {
		if same(token, s.open[i].token) {
			s.open[i].used, found = now, true
		}
	}
	return found
}

func (s *sessions) remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.open)
	s.open = slices.DeleteFunc(s.open, func(one session) bool { return one.id == id })
	return len(s.open) < before
}

func (s *sessions) ids(now time.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	ids := make([]string, 0, len(s.open))
	for _, one := range s.open {
		ids = append(ids, one.id)
	}
	return ids
}

func (s *sessions) expire(now time.Time) {
	s.open = slices.DeleteFunc(s.open, func(one session) bool { return now.Sub(one.used) >= s.timeout })
}

func (s *Service) loggedIn(r *http.Request) bool {
	if token := r.Header.Get("X-Auth-Token"); token != "" {
		return s.sessions.valid(token, s.cfg.Now())
	}
	user, password, ok := r.BasicAuth()
	return ok && s.account(user, password)
}

func (s *Service) account(user, password string) bool {
	// Both are compared in any case, so that time tells nothing of which is wrong.
	okUser, okPassword := same(user, s.cfg.User), same(password, s.cfg.Password)
	return okUser && okPassword
}

func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

const sessionsPath = root + "/SessionService/Sessions"

func (s *Service) createSession(w http.ResponseWriter, r *http.Request) {
	var login struct{ UserName, Password string }
	if problem := decode(r, &login); problem != nil {
		fail(w, problem.status, problem.message)
		return
	}
	if !s.account(login.UserName, login.Password) {
		fail(w, http.StatusUnauthorized, noValidSession())
		return
	}
	made, ok := s.sessions.create(s.cfg.Now())
	if !ok {
		fail(w, http.StatusServiceUnavailable, sessionLimit())
		return
	}
	w.Header().Set("X-Auth-Token", made.token)
	w.Header().Set("Location", sessionsPath+"/"+made.id)
	write(w, http.StatusCreated, encode(s.sessionBody(made.id)))
}

func (s *Service) listSessions(w http.ResponseWriter, r *http.Request) {
	var members []string
	for _, id := range s.sessions.ids(s.cfg.Now()) {
		members = append(members, sessionsPath+"/"+id)
	}
	send(w, r, collection("SessionService/Sessions", "SessionCollection", members...))
}

func (s *Service) getSession(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !slices.Contains(s.sessions.ids(s.cfg.Now()), id) {
		fail(w, http.StatusNotFound, resourceMissing(r.URL.Path))
		return
	}
	send(w, r, s.sessionBody(id))
}

func (s *Service) deleteSession(w http.ResponseWriter, r *http.Request) {
	if !s.sessions.remove(r.PathValue("id")) {
		fail(w, http.StatusNotFound, resourceMissing(r.URL.Path))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Service) sessionBody(id string) object {
	return object{
		"@odata.id":   sessionsPath + "/" + id,
		"@odata.type": "#Session.v1_2_1.Session",
		"Id":          id,
		"Name":        "Session " + id,
		"UserName":    s.cfg.User,
	}
}
