package bundle

import (
	"maps"
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// keepSealed puts the sealed form of secure params, which saving the object
// made, into the pack too: it is stored and shown. Without that a pack with
// secrets is refused.
func keepSealed(tx *resource.Tx, pack *api.ContentPack, o object) error {
	params := o.kind.ParamsOf(o.val)
	if params == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(*params)) {
		def, err := api.ParamDefs.Get(tx, name)
		if err != nil || !def.Secure {
			continue
		}
		fields, _ := pack.Sections[o.kind.KindName()][o.key].(map[string]any)
		written, _ := lookFold(fields, "Params")
		values, ok := written.(map[string]any)
		if !ok || !isSealed((*params)[name]) {
			return resource.Errorf(resource.Invalid, api.ContentPacks.Name, pack.Meta.Name,
				"%s: param %s is secure, but this server cannot seal it: set it on a machine or a profile of your own", o.name(), name)
		}
		values[name] = (*params)[name]
	}
	return nil
}

// dropPlain removes what the layer's last version holds in the plain of params
// that this version makes secure: a definition cannot become secure over them,
// and they come again sealed.
func dropPlain(tx *resource.Tx, kinds []resource.Any, layer string, objs []object) error {
	for _, o := range objs {
		def, ok := o.val.(*api.Param)
		if !ok || !def.Secure {
			continue
		}
		for _, h := range slices.SortedFunc(maps.Keys(held(tx, kinds, layer)), id.compare) {
			k := byName(kinds, h.kind)
			have, err := k.Lookup(tx, h.key)
			if err != nil {
				continue
			}
			params := k.ParamsOf(have.Val)
			if params == nil || (*params)[def.Name] == nil || isSealed((*params)[def.Name]) {
				continue
			}
			if err := tx.RemoveFromLayer(layer, h.kind, h.key); err != nil {
				return err
			}
		}
	}
	return nil
}

// isSealed recognizes the form of DRP's SecureData.
func isSealed(v any) bool {
	m, ok := v.(map[string]any)
	return ok && len(m) == 3 && m["Key"] != nil && m["Nonce"] != nil && m["Payload"] != nil
}
