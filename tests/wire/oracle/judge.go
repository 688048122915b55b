package main

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/gogo/protobuf/proto"
	"github.com/klauspost/compress/snappy"
)

type verdict struct {
	// Whether Go reads what came, and what was written.
	In  bool `json:"in"`
	Out bool `json:"out"`
	// Where both are read: how what was written differs from what came, edited as the test edits it.
	Diff string `json:"diff,omitempty"`
}

func judge(m message) verdict {
	in, err := hex.DecodeString(m.In)
	if err != nil {
		return verdict{Diff: err.Error()}
	}
	var out []byte
	if m.Out != nil {
		if out, err = hex.DecodeString(*m.Out); err != nil {
			return verdict{Diff: err.Error()}
		}
	}
	if m.Kind == "block" {
		text, err := snappy.Decode(nil, in)
		again, errOut := snappy.Decode(nil, out)
		v := verdict{In: err == nil, Out: errOut == nil}
		if !bytes.Equal(text, again) {
			v.Diff = "another text"
		}
		return v
	}
	for _, kind := range append(kinds, forwarded...) {
		if kind.name == m.Kind {
			return judgeMessage(kind, in, out, m.Out != nil)
		}
	}
	return verdict{Diff: "no such kind: " + m.Kind}
}

func judgeMessage(kind kind, in, out []byte, written bool) verdict {
	came, wrote := kind.empty(), kind.empty()
	v := verdict{In: proto.Unmarshal(in, came) == nil, Out: written && proto.Unmarshal(out, wrote) == nil}
	if v.In && v.Out {
		kind.edit(came)
		// Compared as bytes: they don't tell nil from empty, nor one NaN from another.
		expected, got := encode(came), encode(wrote)
		if !bytes.Equal(expected, got) {
			v.Diff = fmt.Sprintf("%v\n is not what came and was edited:\n%v", wrote, came)
		}
	}
	return v
}
