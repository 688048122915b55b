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

// testCase is a query, what the filter made of it (nil: refused), and how it was told to enforce.
// Queries that are not UTF-8 come in base64, since JSON can't hold them.
type testCase struct {
	In       string   `json:"in"`
	InBytes  []byte   `json:"in64"`
	Out      *string  `json:"out"`
	OutBytes []byte   `json:"out64"`
	Label    string   `json:"label"`
	Values   []string `json:"values"`   // one: `label="value"`; several: `label=~"a|b"`
	Conflict string   `json:"conflict"` // replace, intersect or reject
	Selector bool     `json:"selector"` // a match[] value
}

// verdict holds one reading for each of the option sets, in the order of `parsers`.
type verdict struct {
	In  [2]reading     `json:"in"`
	Out [2]*comparison `json:"out"`
}

// reading is what a parser says about a text.
type reading struct {
	OK        bool     `json:"ok"`
	Error     string   `json:"error,omitempty"`
	Kinds     []string `json:"kinds,omitempty"`
	Selectors int      `json:"selectors"`
	// Conflict says that some selector's own matchers on the label match none of the tenants.
	Conflict bool `json:"conflict"`
}

// comparison is what a parser says about the filter's text, and how its tree differs from the enforced tree of the query.
type comparison struct {
	reading
	Open     int    `json:"open"`     // selectors without the matcher, where a tree was built
	Compared bool   `json:"compared"` // whether both texts gave a whole tree
	Diff     string `json:"diff,omitempty"`
}

// parsers are the two readings that the filter has to serve: every experimental option on, and the same without unquoted
// UTF-8 names, which is the default and accepts some texts that the other refuses (`up offset.5`, `sum by (a:b) (x)`).
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
		inReading.Conflict = inTree != nil && want.conflict(inTree)
		v.In[i] = inReading
		if out == nil {
			continue
		}
		outTree, outReading := read(p, *out, c.Selector)
		cmp := &comparison{reading: outReading}
		if outTree != nil {
			cmp.Open = want.open(outTree)
		}
		if inTree != nil && outTree != nil {
			cmp.Compared = true
			cmp.Diff = want.difference(inTree, outTree)
		}
		v.Out[i] = cmp
	}
	return v, nil
}

// read parses a text. The tree is nil where an error left it incomplete; a type error, an unknown function or an empty
// selector does not.
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

// enforcement is what the filter was asked to do.
type enforcement struct {
	values  []string
	matcher *labels.Matcher
	replace bool
}

func newEnforcement(c *testCase) (*enforcement, error) {
	switch {
	case c.Label == "" || len(c.Values) == 0:
		return nil, errors.New("a case needs a label and at least one value")
	case len(c.Values) == 1:
		return &enforcement{
			values:  c.Values,
			matcher: labels.MustNewMatcher(labels.MatchEqual, c.Label, c.Values[0]),
			replace: c.Conflict == "replace",
		}, nil
	default:
		quoted := make([]string, len(c.Values))
		for i, v := range c.Values {
			quoted[i] = regexp.QuoteMeta(v)
		}
		m, err := labels.NewMatcher(labels.MatchRegexp, c.Label, strings.Join(quoted, "|"))
		if err != nil {
			return nil, fmt.Errorf("the tenants' matcher: %w", err)
		}
		return &enforcement{values: c.Values, matcher: m}, nil
	}
}

// open counts the selectors that lack the matcher, found by Prometheus's own walk.
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
	return slices.ContainsFunc(ms, e.ours)
}

func (e *enforcement) ours(m *labels.Matcher) bool {
	return m.Type == e.matcher.Type && m.Name == e.matcher.Name && m.Value == e.matcher.Value
}

// listsTexts matches the patterns that list texts, like `a|b`. All others are left to the upstream: the filter doesn't run them.
var listsTexts = regexp.MustCompile(`^([^.+*?()\[\]{}^$\\]|\\[[:punct:]])*$`)

// conflict says whether some selector can match none of the tenants, as far as the filter judges that.
func (e *enforcement) conflict(tree parser.Expr) bool {
	return slices.ContainsFunc(selectors(tree), func(vs *parser.VectorSelector) bool {
		return !slices.ContainsFunc(e.values, func(value string) bool {
			return !slices.ContainsFunc(vs.LabelMatchers, func(m *labels.Matcher) bool {
				pattern := m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp
				return m.Name == e.matcher.Name && !m.Matches(value) && (!pattern || listsTexts.MatchString(m.Value))
			})
		})
	})
}

// apply adds the matcher to each selector of the query's tree, as the filter must. Where the query has it already it stands
// there once.
func (e *enforcement) apply(tree parser.Expr) {
	for _, vs := range selectors(tree) {
		kept := make([]*labels.Matcher, 0, len(vs.LabelMatchers)+1)
		for _, m := range vs.LabelMatchers {
			if m.Name != e.matcher.Name || (!e.replace && !e.ours(m)) {
				kept = append(kept, m)
			}
		}
		vs.LabelMatchers = append(kept, e.matcher)
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
