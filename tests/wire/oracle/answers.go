package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"reflect"

	"github.com/gogo/protobuf/proto"
	"github.com/gogo/protobuf/types"
	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/prompb"
	"github.com/thanos-io/thanos/pkg/api/query/querypb"
	"github.com/thanos-io/thanos/pkg/store/storepb"
	storeprompb "github.com/thanos-io/thanos/pkg/store/storepb/prompb"
)

// Answers, as the upstreams write them, and what of them has to pass.
var answers = []func(random) message{samples, chunks, series, results, block, stream}

func (r random) of(v any) { r.fill(reflect.ValueOf(v).Elem()) }

func encode(m proto.Message) []byte {
	encoded, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return encoded
}

func whole(kind string, in, passes []byte, series [][][]string) message {
	return message{Kind: kind, Whole: true, In: hex.EncodeToString(in), Passes: hex.EncodeToString(passes), Series: series}
}

// A snappy block of samples.
func samples(r random) message {
	var response prompb.ReadResponse
	r.of(&response)
	var series [][][]string
	for _, result := range response.Results {
		for _, s := range result.Timeseries {
			var labels [][]string
			for _, l := range s.Labels {
				labels = append(labels, []string{hexed(l.Name), hexed(l.Value)})
			}
			series = append(series, labels)
		}
	}
	in := snappy.Encode(nil, encode(&response))
	return whole("ReadResponse", in, in, series)
}

// Frames of chunks, as storage/remote/chunked.go writes them.
func chunks(r random) message {
	var in []byte
	var series [][][]string
	for range r.Intn(4) {
		var response prompb.ChunkedReadResponse
		r.of(&response)
		for _, s := range response.ChunkedSeries {
			var labels [][]string
			for _, l := range s.Labels {
				labels = append(labels, []string{hexed(l.Name), hexed(l.Value)})
			}
			series = append(series, labels)
		}
		encoded := encode(&response)
		in = binary.AppendUvarint(in, uint64(len(encoded)))
		in = binary.BigEndian.AppendUint32(in, crc32.Checksum(encoded, crc32.MakeTable(crc32.Castagnoli)))
		in = append(in, encoded...)
	}
	return whole("ChunkedReadResponse", in, in, series)
}

// The stream of a store: warnings and hints don't pass.
func series(r random) message {
	var in, passes []byte
	var all [][][]string
	labels := func(s *storepb.Series) {
		var labels [][]string
		for _, l := range s.Labels {
			labels = append(labels, []string{hexed(l.Name), hexed(l.Value)})
		}
		all = append(all, labels)
	}
	for range r.Intn(6) {
		var response storepb.SeriesResponse
		switch r.Intn(4) {
		case 0:
			s := new(storepb.Series)
			r.of(s)
			response.Result = &storepb.SeriesResponse_Series{Series: s}
			labels(s)
		case 1:
			response.Result = &storepb.SeriesResponse_Warning{Warning: "a warning"}
		case 2:
			hints := &storepb.SeriesResponse_Hints{Hints: new(types.Any)}
			r.of(hints.Hints)
			response.Result = hints
		case 3:
			batch := new(storepb.SeriesBatch)
			r.of(batch)
			response.Result = &storepb.SeriesResponse_Batch{Batch: batch}
			for _, s := range batch.Series {
				labels(s)
			}
		}
		one := frame(encode(&response))
		in = append(in, one...)
		switch response.Result.(type) {
		case *storepb.SeriesResponse_Series, *storepb.SeriesResponse_Batch:
			passes = append(passes, one...)
		}
	}
	return whole("SeriesResponse", in, passes, all)
}

// The stream of a query: warnings don't pass.
func results(r random) message {
	var in, passes []byte
	var all [][][]string
	labels := func(s *storeprompb.TimeSeries) {
		var labels [][]string
		for _, l := range s.Labels {
			labels = append(labels, []string{hexed(l.Name), hexed(l.Value)})
		}
		all = append(all, labels)
	}
	for range r.Intn(6) {
		var response querypb.QueryResponse
		switch r.Intn(4) {
		case 0:
			response.Result = &querypb.QueryResponse_Warnings{Warnings: "a warning"}
		case 1:
			s := new(storeprompb.TimeSeries)
			r.of(s)
			response.Result = &querypb.QueryResponse_Timeseries{Timeseries: s}
			labels(s)
		case 2:
			stats := new(querypb.QueryResponse_Stats)
			stats.Stats = new(querypb.QueryStats)
			r.of(stats.Stats)
			response.Result = stats
		case 3:
			batch := new(querypb.TimeSeriesBatch)
			r.of(batch)
			response.Result = &querypb.QueryResponse_TimeseriesBatch{TimeseriesBatch: batch}
			for _, s := range batch.Series {
				labels(s)
			}
		}
		one := frame(encode(&response))
		in = append(in, one...)
		if _, warning := response.Result.(*querypb.QueryResponse_Warnings); !warning {
			passes = append(passes, one...)
		}
	}
	return whole("QueryResponse", in, passes, all)
}

// A snappy block of anything that compresses.
func block(r random) message {
	text := r.text()
	return whole("block", snappy.Encode(nil, text), text, nil)
}

// What a client of gRPC sends with `grpc-encoding: snappy` (pkg/extgrpc/snappy of Thanos).
func stream(r random) message {
	text := r.text()
	var in bytes.Buffer
	w := snappy.NewBufferedWriter(&in)
	if _, err := w.Write(text); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return whole("stream", in.Bytes(), text, nil)
}

// Up to 70 kB, most of it repeated: more than a chunk of the framing format holds.
func (r random) text() []byte {
	var text []byte
	for range r.Intn(20) {
		switch piece := make([]byte, r.Intn(100)); r.Intn(3) {
		case 0:
			r.Read(piece)
			text = append(text, piece...)
		case 1:
			text = append(text, bytes.Repeat([]byte{byte(r.Intn(256))}, r.Intn(10_000))...)
		case 2:
			text = append(text, text[len(text)/2:]...)
		}
	}
	return text[:min(len(text), 70_000)]
}

func hexed(text string) string { return hex.EncodeToString([]byte(text)) }
