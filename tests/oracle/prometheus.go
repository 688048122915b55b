package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// prometheusCorpus reads Prometheus's own tests: every string constant of the Go tests (the `input` fields of the parser's tables are
// among them; those that aren't queries are refused by both sides and do no harm), and the expression of every `eval` line, in the engine's test files and in the scripts that Go tests hold.
func prometheusCorpus(add func(string)) error {
	return eachTest(
		func(text string) {
			add(text)
			eachEval(text, add)
		},
		func(script string) { eachEval(script, add) },
	)
}

// eachTest visits Prometheus's own tests under promql/ in the module cache: every string constant of the Go tests, and the engine's test files.
func eachTest(constant, script func(string)) error {
	dir, err := goOutput("list", "-m", "-f", "{{.Dir}}", "github.com/prometheus/prometheus")
	if err != nil {
		return err
	}
	root := filepath.Join(string(bytes.TrimSpace(dir)), "promql")
	goFiles, scripts := 0, 0
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		switch {
		case strings.HasSuffix(path, "_test.go"):
			goFiles++
			return eachStringConstant(path, constant)
		case strings.HasSuffix(path, ".test"):
			scripts++
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			script(string(text))
		}
		return nil
	})
	if err == nil && (goFiles == 0 || scripts == 0) {
		return fmt.Errorf("%s holds %d Go tests and %d engine test files", root, goFiles, scripts)
	}
	return err
}

// evalLine is an `eval` command of promqltest/test.go (patEvalInstant, patEvalRange), with the expression in the last group.
var evalLine = regexp.MustCompile(
	`^\s*eval(?:_(?:fail|warn|ordered|info))?\s+(?:instant\s+(?:at\s+\S+\s+)?|range\s+from\s+\S+\s+to\s+\S+\s+step\s+\S+\s+)(.+)$`)

func eachEval(script string, add func(string)) {
	for line := range strings.Lines(script) {
		if m := evalLine.FindStringSubmatch(strings.TrimRight(line, "\r\n")); m != nil {
			add(strings.TrimSpace(m[1]))
		}
	}
}

// eachStringConstant visits the string literals of a Go file, and sums of literals as one text.
func eachStringConstant(path string, visit func(string)) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		expr, ok := n.(ast.Expr)
		if !ok {
			return true
		}
		if text, ok := constantText(expr); ok {
			visit(text)
			return false
		}
		return true
	})
	return nil
}

func constantText(expr ast.Expr) (string, bool) {
	switch e := expr.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.ParenExpr:
		return constantText(e.X)
	case *ast.BinaryExpr:
		left, ok := constantText(e.X)
		if !ok || e.Op != token.ADD {
			return "", false
		}
		right, ok := constantText(e.Y)
		return left + right, ok
	default:
		return "", false
	}
}
