package resource

import "context"

// Change is what one update does to one object: Old is nil if it is new, New
// if it is gone. Both are shared, read only.
type Change struct {
	Kind, Key string
	Old, New  any
}

// Guard looks at all changes of an update before it is made durable; an error
// refuses the update. It may change more objects.
type Guard func(tx *Tx, changes []Change) error

type guardKey struct{}

// WithGuard has fn guard every update made under ctx.
func WithGuard(ctx context.Context, fn Guard) context.Context {
	return context.WithValue(ctx, guardKey{}, fn)
}

func (tx *Tx) guarded(ctx context.Context) error {
	fn, ok := ctx.Value(guardKey{}).(Guard)
	if !ok || len(tx.changes) == 0 {
		return nil
	}
	list := make([]Change, 0, len(tx.changes))
	for _, c := range tx.changes {
		if c.old == nil && c.new == nil {
			continue
		}
		g := Change{Kind: c.kind, Key: c.key}
		if c.old != nil {
			g.Old = c.old.val
		}
		if c.new != nil {
			g.New = c.new.val
		}
		list = append(list, g)
	}
	return fn(tx, list)
}

// Origin is where a request came from and what it asks, for audit.
type Origin struct {
	Address, Request, Method, Path string
}

type originKey struct{}

// WithOrigin notes where the updates made under ctx come from.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf returns where ctx comes from; it is empty for the server itself.
func OriginOf(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}

// Stamp tells one state of all objects of a kind from every other, without
// holding on to the rest of a View. Compare stamps with ==.
type Stamp struct{ of any }

// Stamp is the state of the kind in a view. The same stamp means that nothing
// changed; another one, that something may have.
func (k *Kind[T]) Stamp(v *View) Stamp { return Stamp{v.s.table(k.Name).main.m} }
