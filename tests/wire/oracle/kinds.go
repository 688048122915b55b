package main

import (
	"github.com/gogo/protobuf/proto"
	"github.com/prometheus/prometheus/prompb"
	"github.com/thanos-io/thanos/pkg/api/query/querypb"
	"github.com/thanos-io/thanos/pkg/exemplars/exemplarspb"
	"github.com/thanos-io/thanos/pkg/info/infopb"
	"github.com/thanos-io/thanos/pkg/rules/rulespb"
	"github.com/thanos-io/thanos/pkg/store/storepb"
	"github.com/thanos-io/thanos/pkg/targets/targetspb"
)

// A kind of message that the filter writes anew.
type kind struct {
	name  string
	empty func() proto.Message
	// What the test of the filter changes in it, and what the filter always drops.
	edit func(proto.Message)
}

var tenant = storepb.LabelMatcher{Type: storepb.LabelMatcher_EQ, Name: "tenant_id", Value: "team-a"}

const query = `up{tenant_id="team-a"}`

var kinds = []kind{
	{"ReadRequest", func() proto.Message { return &prompb.ReadRequest{} }, func(m proto.Message) {
		proto.DiscardUnknown(m) // which Prometheus's types keep
		for _, query := range m.(*prompb.ReadRequest).Queries {
			matcher := &prompb.LabelMatcher{Type: prompb.LabelMatcher_EQ, Name: tenant.Name, Value: tenant.Value}
			query.Matchers = append(query.Matchers, matcher)
		}
	}},
	{"QueryRequest", func() proto.Message { return &querypb.QueryRequest{} }, func(m proto.Message) {
		r := m.(*querypb.QueryRequest)
		r.Query, r.QueryPlan, r.StoreMatchers = query, nil, nil
	}},
	{"QueryRangeRequest", func() proto.Message { return &querypb.QueryRangeRequest{} }, func(m proto.Message) {
		r := m.(*querypb.QueryRangeRequest)
		r.Query, r.QueryPlan, r.StoreMatchers = query, nil, nil
	}},
	{"SeriesRequest", func() proto.Message { return &storepb.SeriesRequest{} }, func(m proto.Message) {
		r := m.(*storepb.SeriesRequest)
		r.Matchers, r.Hints = append(r.Matchers, tenant), nil
	}},
	{"LabelNamesRequest", func() proto.Message { return &storepb.LabelNamesRequest{} }, func(m proto.Message) {
		r := m.(*storepb.LabelNamesRequest)
		r.Matchers, r.Hints = append(r.Matchers, tenant), nil
	}},
	{"LabelValuesRequest", func() proto.Message { return &storepb.LabelValuesRequest{} }, func(m proto.Message) {
		r := m.(*storepb.LabelValuesRequest)
		r.Matchers, r.Hints = append(r.Matchers, tenant), nil
	}},
	{"LabelNamesResponse", func() proto.Message { return &storepb.LabelNamesResponse{} }, func(m proto.Message) {
		r := m.(*storepb.LabelNamesResponse)
		r.Warnings, r.Hints = nil, nil
	}},
	{"LabelValuesResponse", func() proto.Message { return &storepb.LabelValuesResponse{} }, func(m proto.Message) {
		r := m.(*storepb.LabelValuesResponse)
		r.Warnings, r.Hints = nil, nil
	}},
	{"ExemplarsRequest", func() proto.Message { return &exemplarspb.ExemplarsRequest{} }, func(m proto.Message) {
		m.(*exemplarspb.ExemplarsRequest).Query = query
	}},
	{"RulesRequest", func() proto.Message { return &rulespb.RulesRequest{} }, func(proto.Message) {}},
	{"TargetsRequest", func() proto.Message { return &targetspb.TargetsRequest{} }, func(proto.Message) {}},
	{"InfoRequest", func() proto.Message { return &infopb.InfoRequest{} }, func(proto.Message) {}},
	{"InfoResponse", func() proto.Message { return &infopb.InfoResponse{} }, func(m proto.Message) {
		r := m.(*infopb.InfoResponse)
		r.MetricMetadata, r.Status = nil, nil
	}},
}
