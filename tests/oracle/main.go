// The oracle: it runs Prometheus's own parser on a query, and on the text that the filter made of it.
//
//	oracle judge                 JSON lines of cases on stdin, one verdict a line on stdout, in order
//	oracle corpus prometheus     every expression of Prometheus's own tests, one JSON string a line
//	oracle corpus collections    the queries of public rule and dashboard collections, likewise
//	oracle series                every series that Prometheus's own tests load, one JSON object a line
//
// `corpus` and `series` run `go list` and `go mod download`, so they work in this folder.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "judge":
		return judgeLines(os.Stdin, os.Stdout)
	case len(args) == 2 && args[0] == "corpus" && args[1] == "prometheus":
		return printCorpus(os.Stdout, prometheusCorpus)
	case len(args) == 2 && args[0] == "corpus" && args[1] == "collections":
		return printCorpus(os.Stdout, collectionsCorpus)
	case len(args) == 1 && args[0] == "series":
		return printSeries(os.Stdout)
	default:
		return fmt.Errorf("usage: oracle judge | oracle corpus prometheus | oracle corpus collections | oracle series")
	}
}
