package api

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	"drpd/pkg/resource"
)

// gen fills values of any shape at random; the same seed gives the same.
type gen struct{ *rand.Rand }

func newGen(seed uint64) gen { return gen{rand.New(rand.NewPCG(seed, 1))} }

func (g gen) name() string {
	const letters = "abcdefgh"
	return fmt.Sprintf("%c%c%d", letters[g.IntN(8)], letters[g.IntN(8)], g.IntN(100))
}

// object makes a new T of the kind and fills every exported field.
func (g gen) object(k resource.Any) any {
	zero, err := k.Decode([]byte("{}"))
	if err != nil {
		panic(err)
	}
	g.fill(reflect.ValueOf(zero).Elem(), 0)
	return zero
}

func (g gen) fill(v reflect.Value, depth int) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(g.Int64N(1<<31), g.Int64N(1e9)).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				g.fill(v.Field(i), depth+1)
			}
		}
	case reflect.String:
		v.SetString(g.name())
	case reflect.Bool:
		v.SetBool(g.IntN(2) == 1)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(g.IntN(1000)))
	case reflect.Uint8:
		v.SetUint(uint64(g.IntN(256)))
	case reflect.Interface:
		v.Set(reflect.ValueOf(g.json(depth)))
	default:
		g.fillRef(v, depth)
	}
}

// fillRef fills what may be nil, and leaves it nil one time in four.
func (g gen) fillRef(v reflect.Value, depth int) {
	if g.IntN(4) == 0 || depth > 6 {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		g.fill(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), g.IntN(3), 3))
		for i := range v.Len() {
			g.fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range g.IntN(3) {
			elem := reflect.New(v.Type().Elem()).Elem()
			g.fill(elem, depth+1)
			v.SetMapIndex(reflect.ValueOf(g.name()), elem)
		}
	default:
		panic("no way to fill a " + v.Type().String())
	}
}

// json makes a value as encoding/json decodes it.
func (g gen) json(depth int) any {
	switch n := g.IntN(6); {
	case n == 0 && depth < 4:
		return map[string]any{g.name(): g.json(depth + 1)}
	case n == 1 && depth < 4:
		return []any{g.json(depth + 1), g.json(depth + 1)}
	case n == 2:
		return g.IntN(2) == 1
	case n == 3:
		return float64(g.IntN(1000))
	}
	return g.name()
}

func encoded(val any) string {
	data, err := json.Marshal(val)
	if err != nil {
		panic(err)
	}
	return string(data)
}
