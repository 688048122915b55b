package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus-community/prom-label-proxy/injectproxy"
	"github.com/prometheus/prometheus/model/labels"
)

// BenchmarkEnforce runs prom-label-proxy's enforcer on the queries that benches/rewrite.rs gives to the filter.
func BenchmarkEnforce(b *testing.B) {
	files, err := filepath.Glob("../../../benches/queries/*.promql")
	if err != nil || len(files) == 0 {
		b.Fatalf("no queries: %v", err)
	}
	enforcer := injectproxy.NewPromQLEnforcer(false, labels.MustNewMatcher(labels.MatchEqual, "tenant_id", "team-a"))
	for _, file := range files {
		query, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(strings.TrimSuffix(filepath.Base(file), ".promql"), func(b *testing.B) {
			b.SetBytes(int64(len(query)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := enforcer.Enforce(string(query)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
