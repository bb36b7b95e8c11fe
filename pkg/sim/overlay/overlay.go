// Package overlay breaks a decision in the source for one build: the broken file
// goes to the compiler by -overlay, and nothing in the work tree is changed.
package overlay

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Edit is one place: Old, which is in File once, becomes New.
type Edit struct{ File, Old, New string }

// Write puts the broken files into dir, and returns the path of the list that
// the go command is told by -overlay. Files are named from the current folder.
func Write(dir string, edits ...Edit) (string, error) {
	texts := map[string]string{}
	for _, e := range edits {
		at, err := filepath.Abs(e.File)
		if err != nil {
			return "", err
		}
		text, seen := texts[at]
		if !seen {
			data, err := os.ReadFile(at)
			if err != nil {
				return "", err
			}
			text = string(data)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return "", fmt.Errorf("what it breaks is %d times in %s: correct its row", n, e.File)
		}
		texts[at] = strings.Replace(text, e.Old, e.New, 1)
	}
	replace := map[string]string{}
	for at, text := range texts {
		broken := filepath.Join(dir, fmt.Sprintf("broken%d.go", len(replace)))
		if err := os.WriteFile(broken, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[at] = broken
	}
	data, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, data, 0o600)
}
