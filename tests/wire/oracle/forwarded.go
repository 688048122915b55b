package main

import (
	"github.com/gogo/protobuf/proto"
	"github.com/thanos-io/thanos/pkg/api/query/querypb"
	"github.com/thanos-io/thanos/pkg/exemplars/exemplarspb"
	"github.com/thanos-io/thanos/pkg/info/infopb"
	"github.com/thanos-io/thanos/pkg/rules/rulespb"
	"github.com/thanos-io/thanos/pkg/store/storepb"
	"github.com/thanos-io/thanos/pkg/targets/targetspb"
)

// The requests of gRPC, and what the filter changes in them on their way to the upstream, for the tenant team-a.
var forwarded = []kind{
	{"forwarded/QueryRequest", func() proto.Message { return &querypb.QueryRequest{} }, func(m proto.Message) {
		r := m.(*querypb.QueryRequest)
		r.Query, r.QueryPlan = enforced(r.Query), nil
	}},
	{"forwarded/QueryRangeRequest", func() proto.Message { return &querypb.QueryRangeRequest{} }, func(m proto.Message) {
		r := m.(*querypb.QueryRangeRequest)
		r.Query, r.QueryPlan = enforced(r.Query), nil
	}},
	{"forwarded/SeriesRequest", func() proto.Message { return &storepb.SeriesRequest{} }, func(m proto.Message) {
		r := m.(*storepb.SeriesRequest)
		r.Matchers, r.Hints = scoped(r.Matchers), nil
		if r.QueryHints != nil {
			r.QueryHints.ProjectionLabels, r.QueryHints.ProjectionInclude = nil, false
		}
	}},
	{"forwarded/LabelNamesRequest", func() proto.Message { return &storepb.LabelNamesRequest{} }, func(m proto.Message) {
		r := m.(*storepb.LabelNamesRequest)
		r.Matchers, r.Hints = scoped(r.Matchers), nil
	}},
	{"forwarded/LabelValuesRequest", func() proto.Message { return &storepb.LabelValuesRequest{} }, func(m proto.Message) {
		r := m.(*storepb.LabelValuesRequest)
		r.Matchers, r.Hints = scoped(r.Matchers), nil
	}},
	{"forwarded/ExemplarsRequest", func() proto.Message { return &exemplarspb.ExemplarsRequest{} }, func(m proto.Message) {
		r := m.(*exemplarspb.ExemplarsRequest)
		r.Query = enforced(r.Query)
	}},
	{"forwarded/RulesRequest", func() proto.Message { return &rulespb.RulesRequest{} }, func(m proto.Message) {
		m.(*rulespb.RulesRequest).MatcherString = nil
	}},
	{"forwarded/TargetsRequest", func() proto.Message { return &targetspb.TargetsRequest{} }, func(proto.Message) {}},
	{"forwarded/InfoRequest", func() proto.Message { return &infopb.InfoRequest{} }, func(proto.Message) {}},
}

// The random queries that are valid are names of metrics.
func enforced(query string) string {
	if query == "" {
		return ""
	}
	return query + `{tenant_id="team-a"}`
}

// The tenant's matcher stands first, and in place of the client's own on the label.
func scoped(own []storepb.LabelMatcher) []storepb.LabelMatcher {
	all := []storepb.LabelMatcher{tenant}
	for _, matcher := range own {
		if matcher.Name != tenant.Name {
			all = append(all, matcher)
		}
	}
	return all
}
