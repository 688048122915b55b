package main

import "github.com/prometheus/prometheus/promql/parser"

// storedNames gives the stored name of each label that a client has another name for: the tenant label, the federation label and the
// latter's original are exchanged.
func storedNames(tenant, federation string) map[string]string {
	original := "original_" + federation
	return map[string]string{federation: tenant, original: federation, tenant: original}
}

// rename changes the names of labels in a tree, found by Prometheus's own walk: in matchers, groupings and matchings, and in the strings
// that name labels, by their place in the call.
func rename(tree parser.Expr, names map[string]string) {
	change := func(name *string) {
		if other, ok := names[*name]; ok {
			*name = other
		}
	}
	changeAll := func(names []string) {
		for i := range names {
			change(&names[i])
		}
	}
	changeString := func(e parser.Expr) {
		for {
			switch inner := e.(type) {
			case *parser.ParenExpr:
				e = inner.Expr
				continue
			case *parser.StringLiteral:
				change(&inner.Val)
			}
			return
		}
	}
	// A matcher may stand in two selectors of a tree, and must be renamed once.
	for _, vs := range selectors(tree) {
		for i, m := range vs.LabelMatchers {
			copied := *m
			change(&copied.Name)
			vs.LabelMatchers[i] = &copied
		}
	}
	parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.AggregateExpr:
			changeAll(n.Grouping)
			if n.Op == parser.COUNT_VALUES {
				changeString(n.Param)
			}
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				changeAll(n.VectorMatching.MatchingLabels)
				changeAll(n.VectorMatching.Include)
			}
		case *parser.Call:
			for i, argument := range n.Args {
				if namesLabel(n.Func.Name, i) {
					changeString(argument)
				}
			}
		}
		return nil
	})
}

// namesLabel says whether an argument of a function is the name of a label (promql/functions.go).
func namesLabel(function string, place int) bool {
	switch function {
	case "label_replace":
		return place == 1 || place == 3
	case "label_join":
		return place == 1 || place >= 3
	case "sort_by_label", "sort_by_label_desc":
		return place >= 1
	case "histogram_quantiles":
		return place == 1
	default:
		return false
	}
}
