package redfish

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// Fault is what is wrong with the controller; the zero value is nothing.
type Fault struct {
	// Silent takes requests and never answers, until the client gives up.
	Silent bool `json:"silent,omitempty"`
	// Unavailable is how many requests get status 503.
	Unavailable int `json:"unavailable,omitempty"`
	// Claim is the PowerState told to readers, On or Off, whatever is true.
	Claim string `json:"claim,omitempty"`
}

// Faults holds the present fault. The zero value has none.
type Faults struct {
	// File, if set, is read at every request: a Fault as JSON. Writing it anew
	// starts the fault anew; no file is no fault.
	File string

	mu      sync.Mutex
	fault   Fault
	written time.Time
	content []byte
}

// Set replaces the fault.
func (f *Faults) Set(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// WriteFault tells the service that watches file about a fault.
func WriteFault(file string, fault Fault) error {
	data, err := json.Marshal(fault)
	if err == nil {
		err = os.WriteFile(file+".new", data, 0o644)
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		return fmt.Errorf("write Redfish fault %s: %w", file, err)
	}
	return nil
}

// answer deals with a request in the controller's place if the fault is of that
// kind, and says whether it did.
func (f *Faults) answer(w http.ResponseWriter, r *http.Request) bool {
	silent, unavailable, err := f.next()
	switch {
	case err != nil:
		fail(w, http.StatusInternalServerError, internalError(err))
	case silent:
		// The server notices that a client has left only once the body is read.
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxBody))
		<-r.Context().Done()
	case unavailable:
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusServiceUnavailable, busy())
	default:
		return false
	}
	return true
}

// next counts one request.
func (f *Faults) next() (silent, unavailable bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.reload(); err != nil {
		return false, false, err
	}
	if f.fault.Silent {
		return true, false, nil
	}
	if f.fault.Unavailable > 0 {
		f.fault.Unavailable--
		return false, true, nil
	}
	return false, false, nil
}

func (f *Faults) claim() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fault.Claim
}

// reload takes the file's fault if the file was written since the last look.
func (f *Faults) reload() error {
	if f.File == "" {
		return nil
	}
	info, err := os.Stat(f.File)
	if os.IsNotExist(err) {
		if f.content != nil {
			f.fault, f.content, f.written = Fault{}, nil, time.Time{}
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read fault: %w", err)
	}
	data, err := os.ReadFile(f.File)
	if err != nil {
		return fmt.Errorf("read fault: %w", err)
	}
	if info.ModTime().Equal(f.written) && bytes.Equal(data, f.content) {
		return nil
	}
	var fault Fault
	if err := json.Unmarshal(data, &fault); err != nil {
		return fmt.Errorf("read fault %s: %w", f.File, err)
	}
	f.fault, f.content, f.written = fault, data, info.ModTime()
	return nil
}
