// Package web holds the pages that drpd serves.
package web

import "embed"

// FS has one directory for each page.
//
//go:embed apidocs
var FS embed.FS

// Docs is the directory of the page that shows the API.
const Docs = "apidocs"
