//go:build linux

package agent

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/agent/facts"
	"drpd/pkg/api"
)

func TestExitResult(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		code   int
		legacy bool
		state  api.JobState
		exit   string
		ok     bool
	}{
		{0, false, "finished", "complete", true},
		{16, false, "finished", "stop", true},
		{32, false, "finished", "poweroff", true},
		{64, false, "finished", "reboot", true},
		{128, false, "incomplete", "incomplete", true},
		{144, false, "incomplete", "stop", true},
		{160, false, "incomplete", "poweroff", true},
		{192, false, "incomplete", "reboot", true},
		{1, false, "", "", false},
		{0, true, "finished", "complete", true},
		{1, true, "finished", "reboot", true},
		{2, true, "incomplete", "incomplete", true},
		{3, true, "incomplete", "reboot", true},
		{16, true, "", "", false},
	} {
		r, ok := exitResult(tc.code, tc.legacy)
		assert.Equal(t, result{state: tc.state, exit: tc.exit}, r, tc.code)
		assert.Equal(t, tc.ok, ok, tc.code)
	}
	assert.Equal(t, result{state: "incomplete", exit: "reboot"}, nonFinal(result{state: "finished", exit: "reboot"}))
	assert.Equal(t, result{state: "finished", exit: "complete"}, nonFinal(result{state: "incomplete", exit: "incomplete"}))
}

func TestInterpreter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"echo":                           {"/bin/bash"},
		"#!/bin/sh\necho":                {"/bin/sh"},
		"#! /usr/bin/env python3 -u \n1": {"/usr/bin/env", "python3 -u"},
		"#!\n":                           {"/bin/bash"},
	} {
		assert.Equal(t, want, interpreter(api.JobAction{Content: text}), text)
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	f := fingerprint(facts.System{Serial: "To Be Filled By O.E.M.", ChassisSerial: "abc", UUID: "00000000-0000-0000-0000-000000000000"})
	assert.Nil(t, f.SSNHash)
	assert.Equal(t, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", hex.EncodeToString(f.CSNHash))
	assert.Empty(t, f.SystemUUID)
	inv := facts.Inventory{BootMAC: "52:54:00:00:00:0A", NICs: []facts.NIC{{MAC: "52:54:00:00:00:01"},
		{MAC: "52:54:00:00:00:0a"}, {MAC: "52:54:00:00:00:ff", Driver: "cdc_ether"}}}
	assert.Equal(t, []string{"52:54:00:00:00:0a", "52:54:00:00:00:01"}, hardwareAddrs(inv))
}

func TestLastLine(t *testing.T) {
	t.Parallel()
	var l lastLine
	for _, s := range []string{"first\nsec", "ond\n\n", "  \n"} {
		l.add([]byte(s))
	}
	assert.Equal(t, "second", l.line())
	l.add([]byte(strings.Repeat("x", 5000)))
	assert.Equal(t, strings.Repeat("x", maxLine), l.line())
}

func TestConfig(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"Endpoint":"https://10.0.0.1:8092","Tokn":"x"}`), 0o600))
	_, err := ReadConfig(file)
	require.ErrorContains(t, err, `unknown field "Tokn"`)
	for want, c := range map[string]Config{
		"Endpoint":      {Token: "t", Env: "local"},
		"CAFingerprint": {Endpoint: "https://10.0.0.1:8092", Token: "t", Env: "local"},
		"Token":         {Endpoint: "http://10.0.0.1", Env: "local"},
		"Env":           {Endpoint: "http://10.0.0.1", Token: "t"},
	} {
		require.ErrorContains(t, Run(t.Context(), c), want)
	}
}
