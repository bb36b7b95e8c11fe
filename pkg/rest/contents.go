package rest

import (
	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// PackSummary is what replies show of a content pack.
type PackSummary struct {
	Meta     api.PackMeta `json:"meta"`
	Counts   map[string]int
	Warnings []string
}

func (s *server) summary(r resource.Reader, p *api.ContentPack) PackSummary {
	out := PackSummary{Meta: p.Meta, Counts: map[string]int{}, Warnings: []string{}}
	for section, objects := range p.Sections {
		out.Counts[section] = len(objects)
	}
	// What was just removed lacks all of its objects.
	if s.cfg.PackWarnings != nil && api.ContentPacks.Has(r, p.Meta.Name) {
		out.Warnings = s.cfg.PackWarnings(r, p)
	}
	return out
}
