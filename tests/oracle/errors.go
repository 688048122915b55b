package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

// errorPrefixes sorts Prometheus's messages (promql/parser v0.316.0, parse.go and generated_parser.y; model.ParseDuration of
// prometheus/common) by what they are about. What is not listed is syntax.
var errorPrefixes = []struct {
	kind     string
	prefixes []string
}{
	{"function", []string{"unknown function with name"}},
	{"empty_selector", []string{"vector selector must contain at least one non-empty matcher"}},
	{"name_twice", []string{"metric name must not be set twice"}},
	{"type", []string{
		"expected type ", "expected label selectors only", "evaluation statement", "expression must have a valid expression type",
		"aggregation operator expected", "bool modifier can only", "comparisons between scalars", "binary expression must contain",
		"binary expression does not support", "vector matching only allowed", "filling in missing series", "no grouping allowed for",
		"set operations must always", "set operator ", "only + and - operators", "unary expression only", "subquery is only allowed",
	}},
	{"on_and_group", []string{"label \""}},
	{"aggregate_arguments", []string{"no arguments for aggregate", "wrong number of arguments for aggregate"}},
	{"modifier", []string{
		"offset modifier must", "offset may not", "ranges only allowed", "no offset modifiers allowed", "no @ modifiers allowed",
		"@ modifier must", "@ <timestamp> may not", "timestamp out of bounds", "anchored ", "smoothed ",
	}},
	{"duration", []string{
		"duration must be greater", "duration out of range", "division by zero", "modulo by zero", "not a valid duration string",
		"empty duration string", "expected number literal or duration",
	}},
	{"number", []string{"error parsing number"}},
	{"string", []string{"error unquoting string"}},
	{"label", []string{"invalid label name for grouping"}},
	{"regexp", []string{"error parsing regexp"}},
	{"panic", []string{"unexpected error"}},
}

// errorKinds lists, once each, what a parse error is about.
func errorKinds(err error) []string {
	var list parser.ParseErrors
	if !errors.As(err, &list) {
		return []string{errorKind(err.Error())}
	}
	var kinds []string
	for _, e := range list {
		if kind := errorKind(e.Err.Error()); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

func errorKind(message string) string {
	if strings.HasPrefix(message, "expected ") && strings.Contains(message, "argument(s) in call to") {
		return "type"
	}
	for _, entry := range errorPrefixes {
		for _, prefix := range entry.prefixes {
			if strings.HasPrefix(message, prefix) {
				return entry.kind
			}
		}
	}
	return "syntax"
}

// wholeTree says whether the parser had built all of the tree when it complained.
func wholeTree(kinds []string) bool {
	for _, kind := range kinds {
		switch kind {
		case "function", "empty_selector", "name_twice", "type", "on_and_group":
		default:
			return false
		}
	}
	return true
}
