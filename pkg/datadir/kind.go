package datadir

import (
	"time"

	"drpd/pkg/resource"
)

// Server is what the database says of itself.
type Server struct {
	Id string
	// Ids of the keys, and the fingerprint of the certificate authority, that
	// belong to it: "" until they were noted.
	Master, Token, CA string
	// Endpoints are where the server's API answers, as it last started.
	Endpoints []string `json:",omitempty"`
	// Restored is set from a restore until drpd activate.
	Restored *Restored `json:",omitempty"`
	// FirstPassword is the first user's until it was shown, sealed.
	FirstPassword []byte `json:",omitempty"`
}

// Restored says where the data came from.
type Restored struct {
	At        time.Time // when it was restored
	Taken     time.Time // when the backup was taken
	Endpoints []string  // where that server answered
	Why       string    // if it was no backup of ours: an older database, for instance
}

// Self is the key of the only Server.
const Self = "self"

// Servers has one object, of which no user knows.
var Servers = &resource.Kind[Server]{Name: "server", Private: true, Key: func(*Server) string { return Self }}

// Unnamed is a file that no object of the database names.
type Unnamed struct {
	Path  string
	First time.Time // when it was first found so
	// Waited is how long it has been so while a server looked: what a clock
	// that jumps cannot shorten.
	Waited time.Duration
}

// UnnamedFiles by path.
var UnnamedFiles = &resource.Kind[Unnamed]{Name: "unnamed_files", Private: true, Key: func(u *Unnamed) string { return u.Path }}
