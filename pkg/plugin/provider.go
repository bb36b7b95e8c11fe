//go:build linux

package plugin

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/blob"
	"drpd/pkg/bundle"
	"drpd/pkg/resource"
)

const (
	// Protocol is the version of the plugin protocol that this server speaks.
	Protocol = 4

	area       = "plugin_providers/" // of blobs that are programs
	maxProgram = 512 << 20           // bytes
	maxActions = 1000                // of a provider
	maxFilesOf = 10_000              // that a provider unpacks
	maxUnpack  = 4 << 30             // bytes of them
)

// FilesOf is where what a provider unpacks is served from.
func FilesOf(provider string) string { return "files/plugin_providers/" + provider + "/" }

// Upload keeps a program under the name of its provider, and what it says of
// itself: all of it, or nothing. It returns the size of the program.
func (s *Supervisor) Upload(ctx context.Context, name string, in io.Reader) (int64, error) {
	program := area + name + "/" + rand.Text()
	s.mu.Lock()
	s.fresh[program] = true
	s.mu.Unlock()
	info, err := s.cfg.Blobs.Put(ctx, program, in, blob.PutOptions{MaxSize: maxProgram})
	if err != nil {
		return 0, err
	}
	old, err := s.define(ctx, name, program)
	if err != nil {
		return 0, errors.Join(err, s.cfg.Blobs.Remove(program))
	}
	if old != "" {
		err = s.cfg.Blobs.Remove(old) // a process that runs has it open
	}
	return info.Size, errors.Join(err, s.unpack(ctx, name, program))
}

// define asks a program what it is, and stores that. old is the one before.
func (s *Supervisor) define(ctx context.Context, name, program string) (old string, err error) {
	says, err := s.ask(ctx, name, program, nil, "define")
	if err != nil {
		return "", resource.Errorf(resource.Invalid, api.PluginProviders.Name, name, "%v", err)
	}
	def, err := Read(name, says)
	if err != nil {
		return "", err
	}
	def.Program = program
	err = s.cfg.DB.Update(ctx, func(tx *resource.Tx) error {
		if was, err := api.PluginProviders.Get(tx, name); err == nil {
			old = was.Program
		}
		if err := api.PluginProviders.Put(tx, def); err != nil {
			return err
		}
		if !def.AutoStart || api.Plugins.Has(tx, name) {
			return nil
		}
		p := &api.Plugin{Name: name, Provider: name}
		p.Meta = maps.Clone(def.Meta)
		return api.Plugins.Create(tx, p)
	})
	return old, err
}

// Read checks what a program says of itself.
func Read(name string, says []byte) (*api.PluginProvider, error) {
	refuse := func(format string, args ...any) (*api.PluginProvider, error) {
		return nil, resource.Errorf(resource.Invalid, api.PluginProviders.Name, name, format, args...)
	}
	v, err := api.PluginProviders.Decode(says)
	if err != nil {
		return refuse("define did not print a plugin provider as JSON: %v", err)
	}
	def := v.(*api.PluginProvider)
	switch {
	case def.Name != name:
		return refuse("the program calls itself %q: upload it under that name", def.Name)
	case def.PluginVersion != Protocol:
		return refuse("the program speaks version %d of the plugin protocol, this server only %d: get a release made for Digital Rebar v4", def.PluginVersion, Protocol)
	case len(def.AvailableActions) > maxActions:
		return refuse("the program has %d actions, %d at most", len(def.AvailableActions), maxActions)
	}
	for i := range def.AvailableActions {
		a := &def.AvailableActions[i]
		a.Provider, a.Model = name, cmp.Or(a.Model, Own)
		if a.Command == "" || strings.ContainsAny(a.Command, "/ ") {
			return refuse("an action is called %q: a name is not empty and has neither spaces nor slashes", a.Command)
		}
	}
	pack, err := bundle.FromPlugin([]byte(def.Content), name, def.Version)
	if err != nil {
		return refuse("its content: %v", err)
	}
	if len(def.Meta) == 0 {
		def.Meta = metaOf(pack.Meta)
	}
	def.Program = ""
	return def, nil
}

// metaOf is what DRP shows of a provider: the meta data of its content.
func metaOf(m api.PackMeta) map[string]string {
	out := map[string]string{}
	for name, v := range map[string]string{"Name": m.Name, "Version": m.Version, "Description": m.Description, "Source": m.Source, "Type": m.Type,
		"Author": m.Author, "DisplayName": m.DisplayName, "DocUrl": m.DocUrl, "Color": m.Color, "color": m.Color, "Icon": m.Icon, "icon": m.Icon} {
		if v != "" {
			out[name] = v
		}
	}
	return out
}

// Remove takes a provider away, with its program, content and files; the
// processes of its plugins end.
func (s *Supervisor) Remove(ctx context.Context, name string) error {
	program := ""
	err := s.cfg.DB.Update(ctx, func(tx *resource.Tx) error {
		def, err := api.PluginProviders.Get(tx, name)
		if err != nil {
			return err
		}
		program = def.Program
		return api.PluginProviders.Delete(tx, name)
	})
	if err != nil {
		return err
	}
	err = s.clear(ctx, name, nil)
	if program == "" {
		return err
	}
	return errors.Join(err, s.cfg.Blobs.Remove(program))
}

// Program opens the program of a provider.
func (s *Supervisor) Program(name string) (*os.File, error) {
	def, err := api.PluginProviders.Get(s.cfg.DB.View(), name)
	if err != nil {
		return nil, err
	}
	return s.cfg.Blobs.Open(def.Program)
}

// layer is the layer that holds the content pack of a provider itself; the
// pack's objects are in one of the pack's name.
func layer(provider string) string { return "plugin provider " + provider }

// Hook loads and unloads the content of providers, also when the server starts.
func Hook(log *slog.Logger) resource.Hook {
	h := resource.OnSave(api.PluginProviders, func(tx *resource.Tx, old, new *api.PluginProvider) error {
		had := old != nil && old.Content != "" && api.ContentPacks.Has(tx, old.Name)
		if new == nil || new.Content == "" {
			if !had {
				return nil
			}
			return tx.RemoveFromLayer(layer(old.Name), api.ContentPacks.Name, old.Name)
		}
		pack, err := bundle.FromPlugin([]byte(new.Content), new.Name, new.Version)
		if err == nil {
			err = api.ContentPacks.LayerAny(tx, layer(new.Name), pack)
		}
		if err == nil || !tx.Loading() {
			return err
		}
		// What does not fit any more must not keep the server down.
		if log != nil {
			log.Error("content of plugin provider not loaded", "provider", new.Name, "err", err)
		}
		return tx.RemoveLayer(new.Name)
	})
	h.OnLoad = true
	return h
}
