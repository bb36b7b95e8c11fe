package resource

import "context"

// Options are what whoever asks for an update wishes of its hooks.
type Options struct {
	Force           bool // ?force=true: pass checks that only protect against haste
	ReplaceWritable bool // a content pack may take over objects of the writable layer
}

type optionsKey struct{}

// WithOptions hands options to the hooks of every update made under ctx.
func WithOptions(ctx context.Context, o Options) context.Context {
	return context.WithValue(ctx, optionsKey{}, o)
}

// Options returns the wishes of whoever asked for this update.
func (tx *Tx) Options() Options { return tx.options }

func optionsOf(ctx context.Context) Options {
	o, _ := ctx.Value(optionsKey{}).(Options)
	return o
}

type alsoKey struct{}

// WithAlso makes fn a part of every update under ctx that changes something:
// what fn writes is durable if, and only if, the rest of that update is. Nil
// undoes an earlier one.
func WithAlso(ctx context.Context, fn func(tx *Tx) error) context.Context {
	return context.WithValue(ctx, alsoKey{}, fn)
}

// also runs the function of WithAlso after everything else of a transaction.
func (tx *Tx) also(ctx context.Context) error {
	fn, ok := ctx.Value(alsoKey{}).(func(tx *Tx) error)
	if !ok || fn == nil || len(tx.changes) == 0 {
		return nil
	}
	return fn(tx)
}
