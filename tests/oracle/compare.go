package main

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
)

// difference enforces the query's tree, and describes how the filter's tree differs from it, or returns "" if it doesn't. Positions are ignored,
// and so is the order of matchers on labels of the scope among the others. Both trees are changed.
func (e *enforcement) difference(in, out parser.Expr) string {
	e.apply(in)
	e.normalise(in)
	e.normalise(out)
	want, got := in.String(), out.String()
	if want != got {
		return fmt.Sprintf("want %s, got %s", want, got)
	}
	if !reflect.DeepEqual(in, out) {
		return fmt.Sprintf("both print as %s, but the trees differ", want)
	}
	return ""
}

// normalise removes from a tree what must not be compared: positions, compiled regular expressions (they hold functions, which
// are never deeply equal), and NaN (which is not equal to itself).
func (e *enforcement) normalise(node parser.Node) {
	switch n := node.(type) {
	case *parser.VectorSelector:
		n.PosRange = posrange.PositionRange{}
		n.LabelMatchers = e.normaliseMatchers(n.LabelMatchers)
		normaliseDuration(n.OriginalOffsetExpr)
	case *parser.MatrixSelector:
		n.EndPos = 0
		normaliseDuration(n.RangeExpr)
	case *parser.SubqueryExpr:
		n.EndPos = 0
		normaliseDuration(n.RangeExpr)
		normaliseDuration(n.StepExpr)
		normaliseDuration(n.OriginalOffsetExpr)
	case *parser.NumberLiteral:
		normaliseNumber(n)
	case *parser.StringLiteral:
		n.PosRange = posrange.PositionRange{}
	case *parser.AggregateExpr:
		n.PosRange = posrange.PositionRange{}
	case *parser.BinaryExpr:
		if n.VectorMatching != nil {
			normaliseFill(n.VectorMatching.FillValues.LHS)
			normaliseFill(n.VectorMatching.FillValues.RHS)
		}
	case *parser.Call:
		n.PosRange = posrange.PositionRange{}
	case *parser.ParenExpr:
		n.PosRange = posrange.PositionRange{}
	case *parser.UnaryExpr:
		n.StartPos = 0
	default:
		panic(fmt.Sprintf("a node that the oracle doesn't know: %T", node))
	}
	for child := range parser.ChildrenIter(node) {
		e.normalise(child)
	}
}

// normaliseMatchers keeps the order of the matchers, but puts those on labels of the scope last and in order of their text.
func (e *enforcement) normaliseMatchers(ms []*labels.Matcher) []*labels.Matcher {
	var others, scoped []*labels.Matcher
	for _, m := range ms {
		plain := &labels.Matcher{Type: m.Type, Name: m.Name, Value: m.Value}
		if len(e.on(m.Name)) > 0 {
			scoped = append(scoped, plain)
		} else {
			others = append(others, plain)
		}
	}
	slices.SortFunc(scoped, func(a, b *labels.Matcher) int { return strings.Compare(a.String(), b.String()) })
	return append(others, scoped...)
}

func normaliseDuration(expr parser.Expr) {
	switch d := expr.(type) {
	case nil:
	case *parser.NumberLiteral:
		normaliseNumber(d)
	case *parser.DurationExpr:
		if d == nil {
			return
		}
		d.StartPos, d.EndPos = 0, 0
		normaliseDuration(d.LHS)
		normaliseDuration(d.RHS)
	default:
		panic(fmt.Sprintf("a duration that the oracle doesn't know: %T", expr))
	}
}

// notANumber stands for NaN in a comparison; no literal has this value together with the same text, which is compared as well.
const notANumber = -math.MaxFloat64

func normaliseNumber(n *parser.NumberLiteral) {
	n.PosRange = posrange.PositionRange{}
	normaliseFill(&n.Val)
}

func normaliseFill(value *float64) {
	if value != nil && math.IsNaN(*value) {
		*value = notANumber
	}
}
