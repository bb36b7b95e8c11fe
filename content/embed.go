// Package content holds the content packs that are built into drpd: what every
// server has (BasicStore), the universal workflows, and an example of a cluster application.
package content

import "embed"

//go:generate go run ./gen

// FS has one directory for each pack.
//
//go:embed basic universal etcd
var FS embed.FS

// Packs lists the built-in packs in the order in which they are loaded.
var Packs = []string{"basic", "universal", "etcd"}
