package rest

import "drpd/pkg/api"

// PackSummary is what replies show of a content pack.
type PackSummary struct {
	Meta     api.PackMeta `json:"meta"`
	Counts   map[string]int
	Warnings []string
}

func summary(p *api.ContentPack) PackSummary {
	s := PackSummary{Meta: p.Meta, Counts: map[string]int{}, Warnings: []string{}}
	for section, objects := range p.Sections {
		s.Counts[section] = len(objects)
	}
	return s
}
