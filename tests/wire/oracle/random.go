package main

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand"
	"reflect"
	"strings"

	"github.com/gogo/protobuf/proto"
	"github.com/thanos-io/thanos/pkg/api/query/querypb"
)

type random struct{ *rand.Rand }

func (r random) message() message {
	if r.Intn(4) == 0 {
		return answers[r.Intn(len(answers))](r)
	}
	kind := kinds[r.Intn(len(kinds))]
	bytes := r.encoded(kind)
	whole := true
	switch r.Intn(8) {
	case 0, 1: // Two messages in a row are one: the last scalar wins, what is repeated is appended.
		bytes = append(bytes, r.encoded(kind)...)
	case 2: // A field that nobody knows.
		bytes = append(bytes, append([]byte{0xa2, 0x1f, 3}, r.encoded(kind)...)...)
		whole = false
	case 3:
		bytes = bytes[:r.Intn(len(bytes)+1)]
		whole = false
	case 4, 5:
		whole = false
		for range 1 + r.Intn(3) {
			if len(bytes) > 0 {
				bytes[r.Intn(len(bytes))] ^= 1 << r.Intn(8)
			}
		}
	case 6:
		whole = false
		for range 1 + r.Intn(3) {
			at := r.Intn(len(bytes) + 1)
			bytes = append(bytes[:at], append([]byte{byte(r.Uint32())}, bytes[at:]...)...)
		}
	}
	return message{Kind: kind.name, Whole: whole, In: hex.EncodeToString(bytes)}
}

func (r random) encoded(kind kind) []byte {
	filled := kind.empty()
	r.fill(reflect.ValueOf(filled).Elem())
	bytes, err := proto.Marshal(filled)
	if err != nil {
		panic(err)
	}
	return bytes
}

// Fills what protobuf fills, half of it.
func (r random) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if !strings.HasPrefix(v.Type().Field(i).Name, "XXX_") && r.Intn(2) == 0 {
				r.fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.Intn(4), 4))
		for i := range v.Len() {
			r.fill(v.Index(i))
		}
	case reflect.String:
		v.SetString([]string{"", "a", "tenant_id", "é\x00", strings.Repeat("long", 50), "\xff"}[r.Intn(6)])
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(r.Intn(256)))
	case reflect.Int32: // enumerations
		v.SetInt(int64(r.Intn(4)))
	case reflect.Int64:
		v.SetInt([]int64{0, 1, -1, 127, 128, math.MinInt64, math.MaxInt64, r.Int63()}[r.Intn(8)])
	case reflect.Float64:
		v.SetFloat([]float64{0, math.Copysign(0, -1), 1.5, math.NaN()}[r.Intn(4)])
	case reflect.Bool:
		v.SetBool(r.Intn(2) == 0)
	case reflect.Interface:
		if plan := (&querypb.QueryPlan_Json{Json: []byte(`{"op":"plan"}`)}); reflect.TypeOf(plan).Implements(v.Type()) {
			v.Set(reflect.ValueOf(plan))
		}
	}
}

func frame(payload []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(payload))), payload...)
}
