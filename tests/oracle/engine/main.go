// The second oracle: it reports what Prometheus's engine asks its storage for when it evaluates a query.
//
// It reads cases as JSON lines on stdin, and writes one answer per line on stdout, in the same order. The answer is what the storage, which
// is empty, was asked for. This is a separate module, because the engine has more dependencies than the parser.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// testCase is a query and the times of its evaluation. A query that is not UTF-8 is sent in base64, because JSON can't hold it.
type testCase struct {
	In       string `json:"in"`
	InBytes  []byte `json:"in64"`
	Instant  bool   `json:"instant"`
	Start    int64  `json:"start"`    // milliseconds
	End      int64  `json:"end"`      // milliseconds
	Step     int64  `json:"step"`     // nanoseconds
	Lookback int64  `json:"lookback"` // milliseconds
}

// answer is what the storage was asked for. If the engine failed before that, the error says why.
type answer struct {
	Ran   bool   `json:"ran"`
	Error string `json:"error,omitempty"`
	// Selects is how many series sets were asked for before the evaluation began, one for each selector.
	Selects int `json:"selects"`
	// Hints are the earliest start and the latest end of these.
	Hints span `json:"hints"`
	// Querier is what the querier was opened for, which includes what info() will ask for later.
	Querier span `json:"querier"`
}

type span struct {
	Min int64 `json:"min"`
	Max int64 `json:"max"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "engine:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	// The parser prints a stack when it recovers from a panic of its own.
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	os.Stderr = null

	decoder := json.NewDecoder(bufio.NewReaderSize(in, 1<<20))
	w := bufio.NewWriterSize(out, 1<<20)
	encoder := json.NewEncoder(w)
	engines := newEngines()
	for {
		var c testCase
		if err := decoder.Decode(&c); errors.Is(err, io.EOF) {
			return w.Flush()
		} else if err != nil {
			return err
		}
		if err := encoder.Encode(engines.ask(&c)); err != nil {
			return err
		}
	}
}

// engines has one engine for each set of parser options that the filter serves, the default first. If both accept a text, the default
// counts, as in the filter.
type engines [2]*promql.Engine

func newEngines() engines {
	var all engines
	for i, dotted := range []bool{false, true} {
		all[i] = promql.NewEngine(promql.EngineOpts{
			MaxSamples:               1,
			Timeout:                  time.Minute,
			NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
			EnableAtModifier:         true,
			EnableNegativeOffset:     true,
			Parser: parser.NewParser(parser.Options{
				EnableExperimentalFunctions: true,
				EnableBinopFillModifiers:    true,
				EnableUnquotedUTF8Names:     dotted,
			}),
		})
	}
	return all
}

func (e engines) ask(c *testCase) *answer {
	var first *answer
	for _, engine := range e {
		a := ask(engine, c)
		if a.Ran {
			return a
		}
		if first == nil {
			first = a
		}
	}
	return first
}

func ask(engine *promql.Engine, c *testCase) *answer {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	text := c.In
	if c.InBytes != nil {
		text = string(c.InBytes)
	}
	recorder := &recorder{opened: cancel}
	opts := promql.NewPrometheusQueryOpts(false, time.Duration(c.Lookback)*time.Millisecond, nil)
	var query promql.Query
	var err error
	if c.Instant {
		query, err = engine.NewInstantQuery(ctx, recorder, opts, text, time.UnixMilli(c.Start))
	} else {
		query, err = engine.NewRangeQuery(ctx, recorder, opts, text, time.UnixMilli(c.Start), time.UnixMilli(c.End), time.Duration(c.Step))
	}
	if err != nil {
		return &answer{Error: err.Error()}
	}
	defer query.Close()
	result := query.Exec(ctx)
	if !recorder.answer.Ran {
		return &answer{Error: fmt.Sprint(result.Err)}
	}
	return &recorder.answer
}
