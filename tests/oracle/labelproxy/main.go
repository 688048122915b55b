// The precedent: it runs prom-label-proxy's enforcer on a query, and lists the selectors that have no matcher in the result. It is a separate
// module, because prom-label-proxy compiles only with the Prometheus release in its own go.mod.
//
// JSON lines on stdin, {"in": query, "label": name, "value": tenant}; one JSON object a line on stdout.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/prometheus-community/prom-label-proxy/injectproxy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

type request struct {
	In    string `json:"in"`
	Label string `json:"label"`
	Value string `json:"value"`
}

type response struct {
	OK    bool     `json:"ok"`
	Text  string   `json:"text,omitempty"`
	Error string   `json:"error,omitempty"`
	Open  []string `json:"open"` // the selectors of `Text` without the matcher
}

func main() {
	parser.EnableExperimentalFunctions = true
	stderr := os.Stderr
	// The parser prints a stack trace when it recovers from a panic of its own; the query counts as refused.
	if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		os.Stderr = null
	}
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(stderr, "labelproxy:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	r := bufio.NewReaderSize(in, 1<<20)
	w := bufio.NewWriterSize(out, 1<<20)
	lines := json.NewDecoder(r)
	answers := json.NewEncoder(w)
	for {
		var q request
		if err := lines.Decode(&q); err == io.EOF {
			return w.Flush()
		} else if err != nil {
			return err
		}
		answer, err := enforce(q)
		if err != nil {
			return err
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
}

func enforce(q request) (response, error) {
	matcher, err := labels.NewMatcher(labels.MatchEqual, q.Label, q.Value)
	if err != nil {
		return response{}, err
	}
	text, err := injectproxy.NewPromQLEnforcer(false, matcher).Enforce(q.In)
	if err != nil {
		return response{Error: err.Error()}, nil
	}
	tree, err := parser.ParseExpr(text)
	if err != nil {
		// The enforcer prints its text from a tree. The parser does not always accept that text.
		return response{Text: text, Error: "its own text: " + err.Error()}, nil
	}
	answer := response{OK: true, Text: text, Open: []string{}}
	parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
		if vs, ok := n.(*parser.VectorSelector); ok && !carried(vs, matcher) {
			answer.Open = append(answer.Open, vs.String())
		}
		return nil
	})
	return answer, nil
}

func carried(vs *parser.VectorSelector, matcher *labels.Matcher) bool {
	for _, m := range vs.LabelMatchers {
		if m.Type == matcher.Type && m.Name == matcher.Name && m.Value == matcher.Value {
			return true
		}
	}
	return false
}
