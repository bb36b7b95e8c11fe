// Package content holds the content packs that are built into drpd: the
// universal workflows and an example of a cluster application.
package content

import "embed"

// FS has one directory for each pack.
//
//go:embed universal etcd
var FS embed.FS

// Packs lists the built-in packs in the order in which they are loaded.
var Packs = []string{"universal", "etcd"}
