package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestIsJQ(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args, want []string
		is         bool
	}{
		{[]string{"/usr/bin/jq", "."}, []string{"/usr/bin/jq", "."}, true},
		{[]string{"drpjq", "-r", ".a"}, []string{"drpjq", "-r", ".a"}, true},
		{[]string{"drpcli", "jq", "."}, []string{"jq", "."}, true},
		{[]string{"drpcli", "machines", "list"}, []string{"drpcli", "machines", "list"}, false},
		{[]string{"drpcli"}, []string{"drpcli"}, false},
	} {
		got, is := isJQ(c.args)
		assert.Equal(t, c.want, got)
		assert.Equal(t, c.is, is)
	}
}
