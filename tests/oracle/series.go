package main

import (
	"bufio"
	"encoding/json"
	"io"
	"math"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
)

// series is a line of a test's data: `http_requests{job="api"} 0+10x10`.
type series struct {
	Labels map[string]string `json:"labels"`
	// Values are floats; none for a series that has histograms.
	Values []float64 `json:"values"`
}

// printSeries prints each series that Prometheus's own tests load, or expect under a name, once, as one JSON object a line. Values that JSON
// doesn't have, and those that are left out in the test, are 0.
func printSeries(out io.Writer) error {
	if err := silenceParserPanics(); err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	seen := map[string]bool{}
	visit := func(text string) {
		for line := range strings.Lines(text) {
			set, values, err := parsers[0].ParseSeriesDesc(strings.TrimSpace(line))
			if err != nil || len(values) == 0 || set.Get(labels.MetricName) == "" || seen[set.String()] {
				continue
			}
			seen[set.String()] = true
			found := series{Labels: set.Map(), Values: []float64{}}
			for _, value := range values[:min(len(values), 60)] {
				if value.Histogram != nil {
					found.Values = nil
					break
				}
				if math.IsNaN(value.Value) || math.IsInf(value.Value, 0) {
					value.Value = 0
				}
				found.Values = append(found.Values, value.Value)
			}
			encoded, err := json.Marshal(found)
			if err != nil {
				panic(err) // its floats are finite
			}
			w.Write(append(encoded, '\n')) // an error is kept, and returned by Flush
		}
	}
	if err := eachTest(visit, visit); err != nil {
		return err
	}
	return w.Flush()
}
