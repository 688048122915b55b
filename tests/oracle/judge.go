package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// testCase is a query, the text that the filter made of it (nil if it was refused), and the settings of the enforcement.
// Queries that are not UTF-8 are sent in base64, because JSON can't hold them.
type testCase struct {
	In       string      `json:"in"`
	InBytes  []byte      `json:"in64"`
	Out      *string     `json:"out"`
	OutBytes []byte      `json:"out64"`
	Scope    []condition `json:"scope"`
	Conflict string      `json:"conflict"` // replace, intersect or reject
	Selector bool        `json:"selector"` // a match[] value
	Renames  []string    `json:"renames"`  // the tenant label, and the name that the query has for it; empty if that is the same
}

// condition is one matcher that the filter was told to enforce.
type condition struct {
	Label  string   `json:"label"`
	Op     string   `json:"op"`     // =, !=, =~, !~; or "in": =~ with each of the values quoted
	Values []string `json:"values"` // one, but for "in"
}

// verdict has one reading for each set of options, in the order of `parsers`.
type verdict struct {
	In  [2]reading     `json:"in"`
	Out [2]*comparison `json:"out"`
}

// reading is the result of a parser for a text.
type reading struct {
	OK        bool     `json:"ok"`
	Error     string   `json:"error,omitempty"`
	Kinds     []string `json:"kinds,omitempty"`
	Selectors int      `json:"selectors"`
	// Conflict says that some selector's own matchers on a label of the scope match none of the values that the scope leaves it.
	Conflict bool `json:"conflict"`
}

// comparison is the result of a parser for the filter's text, and the difference between its tree and the enforced tree of the query.
type comparison struct {
	reading
	Open     int    `json:"open"`     // selectors that lack a matcher, where a tree was built
	Behind   int    `json:"behind"`   // selectors in which the matchers don't come first, in the scope's order
	Compared bool   `json:"compared"` // whether both texts gave a whole tree
	Diff     string `json:"diff,omitempty"`
}

// parsers are the two sets of options that the filter has to serve: every experimental option, and the same without unquoted UTF-8 names.
// The latter is the default, and accepts some texts that the former refuses (`up offset.5`, `sum by (a:b) (x)`).
var parsers = [2]parser.Parser{
	parser.NewParser(parser.Options{
		EnableExperimentalFunctions: true,
		EnableBinopFillModifiers:    true,
		EnableUnquotedUTF8Names:     true,
	}),
	parser.NewParser(parser.Options{
		EnableExperimentalFunctions: true,
		EnableBinopFillModifiers:    true,
	}),
}

func judge(c *testCase) (*verdict, error) {
	in := c.In
	if c.InBytes != nil {
		in = string(c.InBytes)
	}
	out := c.Out
	if c.OutBytes != nil {
		text := string(c.OutBytes)
		out = &text
	}
	want, err := newEnforcement(c)
	if err != nil {
		return nil, err
	}
	v := &verdict{}
	for i, p := range parsers {
		inTree, inReading := read(p, in, c.Selector)
		if inTree != nil && len(c.Renames) > 0 {
			rename(inTree, storedNames(c.Renames[0], c.Renames[1]))
		}
		inReading.Conflict = inTree != nil && want.conflict(inTree)
		v.In[i] = inReading
		if out == nil {
			continue
		}
		outTree, outReading := read(p, *out, c.Selector)
		cmp := &comparison{reading: outReading}
		if outTree != nil {
			cmp.Open = want.open(outTree)
			cmp.Behind = want.behind(outTree)
		}
		if inTree != nil && outTree != nil {
			cmp.Compared = true
			cmp.Diff = want.difference(inTree, outTree)
		}
		v.Out[i] = cmp
	}
	return v, nil
}

// read parses a text. The tree is nil if an error left it incomplete. A type error, an unknown function or an empty selector does not.
func read(p parser.Parser, text string, selector bool) (parser.Expr, reading) {
	var tree parser.Expr
	var err error
	if selector {
		var ms []*labels.Matcher
		ms, err = p.ParseMetricSelector(text)
		tree = &parser.VectorSelector{LabelMatchers: ms}
	} else {
		tree, err = p.ParseExpr(text)
	}
	r := reading{OK: err == nil}
	if err != nil {
		r.Error = err.Error()
		r.Kinds = errorKinds(err)
		if tree == nil || !wholeTree(r.Kinds) {
			return nil, r
		}
	}
	r.Selectors = len(selectors(tree))
	return tree, r
}

// enforcement has the settings of the filter's enforcement.
type enforcement struct {
	matchers []*labels.Matcher
	replace  bool
}

func newEnforcement(c *testCase) (*enforcement, error) {
	if len(c.Scope) == 0 {
		return nil, errors.New("a case needs a matcher")
	}
	e := &enforcement{replace: c.Conflict == "replace"}
	for _, condition := range c.Scope {
		m, err := condition.matcher()
		if err != nil {
			return nil, fmt.Errorf("a matcher of the scope: %w", err)
		}
		e.matchers = append(e.matchers, m)
	}
	return e, nil
}

func (c condition) matcher() (*labels.Matcher, error) {
	op, value := c.Op, strings.Join(c.Values, "|")
	if c.Op == "in" {
		quoted := make([]string, len(c.Values))
		for i, v := range c.Values {
			quoted[i] = regexp.QuoteMeta(v)
		}
		op, value = "=~", strings.Join(quoted, "|")
	} else if len(c.Values) != 1 {
		return nil, fmt.Errorf("%s needs one value, not %d", c.Op, len(c.Values))
	}
	for _, t := range []labels.MatchType{labels.MatchEqual, labels.MatchNotEqual, labels.MatchRegexp, labels.MatchNotRegexp} {
		if t.String() == op {
			return labels.NewMatcher(t, c.Label, value)
		}
	}
	return nil, fmt.Errorf("an unknown operator: %s", c.Op)
}

// open counts the selectors that lack a matcher, found by Prometheus's own walk.
func (e *enforcement) open(tree parser.Expr) int {
	n := 0
	for _, vs := range selectors(tree) {
		if !e.carried(vs.LabelMatchers) {
			n++
		}
	}
	return n
}

func (e *enforcement) carried(ms []*labels.Matcher) bool {
	return !slices.ContainsFunc(e.matchers, func(want *labels.Matcher) bool {
		return !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return same(m, want) })
	})
}

// behind counts the selectors in which the matchers don't come first, each once and in order.
func (e *enforcement) behind(tree parser.Expr) int {
	n := 0
	for _, vs := range selectors(tree) {
		count := len(e.matchers)
		if len(vs.LabelMatchers) < count || !slices.EqualFunc(vs.LabelMatchers[:count], e.matchers, same) ||
			slices.ContainsFunc(vs.LabelMatchers[count:], e.ours) {
			n++
		}
	}
	return n
}

func same(a, b *labels.Matcher) bool {
	return a.Type == b.Type && a.Name == b.Name && a.Value == b.Value
}

func (e *enforcement) ours(m *labels.Matcher) bool {
	return slices.ContainsFunc(e.matchers, func(want *labels.Matcher) bool { return same(m, want) })
}

// on gives the matchers of the scope on a label.
func (e *enforcement) on(label string) []*labels.Matcher {
	var found []*labels.Matcher
	for _, m := range e.matchers {
		if m.Name == label {
			found = append(found, m)
		}
	}
	return found
}

// listsTexts matches the patterns that list texts, like `a|b`. All others are left to the upstream: the filter doesn't run them.
var listsTexts = regexp.MustCompile(`^([^.+*?()\[\]{}^$\\]|\\[[:punct:]])*$`)

// comparesTexts says whether the filter judges by a matcher.
func comparesTexts(m *labels.Matcher) bool {
	pattern := m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp
	return !pattern || listsTexts.MatchString(m.Value)
}

// texts gives the values that a matcher allows, where it names them.
func texts(m *labels.Matcher) ([]string, bool) {
	switch {
	case m.Type == labels.MatchEqual:
		return []string{m.Value}, true
	case m.Type == labels.MatchRegexp && comparesTexts(m):
		found, escaped := []string{""}, false
		for _, c := range []byte(m.Value) {
			if !escaped && c == '\\' {
				escaped = true
				continue
			}
			if !escaped && c == '|' {
				found = append(found, "")
			} else {
				found[len(found)-1] += string([]byte{c})
			}
			escaped = false
		}
		return found, true
	default:
		return nil, false
	}
}

// conflict says whether some selector can match no value that the scope leaves to one of its labels, as far as the filter judges
// that: by the matchers that compare texts.
func (e *enforcement) conflict(tree parser.Expr) bool {
	return slices.ContainsFunc(selectors(tree), func(vs *parser.VectorSelector) bool {
		return slices.ContainsFunc(e.matchers, func(of *labels.Matcher) bool {
			scope, own := e.on(of.Name), []*labels.Matcher{}
			for _, m := range vs.LabelMatchers {
				if m.Name == of.Name && comparesTexts(m) && !e.ours(m) {
					own = append(own, m)
				}
			}
			for _, m := range scope {
				if listed, ok := texts(m); ok {
					return len(own) > 0 && !anyMatches(listed, slices.Concat(scope, own))
				}
			}
			// The scope names no values. Each of the query's matchers that does is judged by itself.
			return slices.ContainsFunc(own, func(m *labels.Matcher) bool {
				listed, ok := texts(m)
				return ok && !anyMatches(listed, scope)
			})
		})
	})
}

// anyMatches says whether one of the values is matched by all matchers that compare texts.
func anyMatches(values []string, ms []*labels.Matcher) bool {
	return slices.ContainsFunc(values, func(value string) bool {
		return !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return comparesTexts(m) && !m.Matches(value) })
	})
}

// apply adds the matchers to each selector of the query's tree, as the filter must. What the query has of them already stands
// there once. The query's own matchers on a label are replaced where the scope leaves the label one value.
func (e *enforcement) apply(tree parser.Expr) {
	isReplaced := func(label string) bool {
		return e.replace && slices.ContainsFunc(e.on(label), func(m *labels.Matcher) bool { return m.Type == labels.MatchEqual })
	}
	for _, vs := range selectors(tree) {
		kept := slices.Clone(e.matchers)
		for _, m := range vs.LabelMatchers {
			if !e.ours(m) && !isReplaced(m.Name) {
				kept = append(kept, m)
			}
		}
		vs.LabelMatchers = kept
	}
}

func selectors(tree parser.Expr) []*parser.VectorSelector {
	var found []*parser.VectorSelector
	parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
		if vs, ok := n.(*parser.VectorSelector); ok {
			found = append(found, vs)
		}
		return nil
	})
	return found
}
