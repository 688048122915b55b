package main

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// collections are Go modules that carry rule files and dashboards: the compiled mixins of Thanos, Mimir, Cortex, Loki and Cilium, the
// node exporter's examples, and Prometheus's own rule fixtures. They are read from the module cache, never copied.
var collections = []string{
	"github.com/thanos-io/thanos@v0.42.5",
	"github.com/grafana/mimir@v1.3.1-0.20260423142704-aced80d74930",
	"github.com/cortexproject/cortex@v1.21.1",
	"github.com/grafana/loki/v3@v3.7.8",
	"github.com/cilium/cilium@v1.20.2",
	"github.com/prometheus/node_exporter@v1.12.1",
	"github.com/prometheus/prometheus@v0.316.0",
}

// collectionsCorpus reads every `expr` of every YAML and JSON file of the collections. LogQL is among them; both sides refuse it.
func collectionsCorpus(add func(string)) error {
	for _, module := range collections {
		path, err := moduleZip(module)
		if err != nil {
			return err
		}
		archive, err := zip.OpenReader(path)
		if err != nil {
			return err
		}
		defer archive.Close()
		found := 0
		for _, file := range archive.File {
			switch filepath.Ext(file.Name) {
			case ".yml", ".yaml", ".json":
			default:
				continue
			}
			err := eachExpr(file, func(expr string) {
				found++
				add(expr)
				add(fillTemplate(expr))
			})
			if err != nil {
				return err
			}
		}
		if found == 0 {
			return fmt.Errorf("%s holds no expression", module)
		}
		fmt.Fprintf(os.Stderr, "%6d expressions in %s\n", found, module)
	}
	return nil
}

// moduleZip downloads a module and returns its archive. A module that asks for a newer Go than this one is an error to the go tool,
// but its archive, checked against the checksum database like any other, is there to be read.
func moduleZip(module string) (string, error) {
	out, err := goOutput("mod", "download", "-json", module)
	var download struct{ Zip, Sum string }
	if json.Unmarshal(out, &download) == nil && download.Zip != "" && download.Sum != "" {
		return download.Zip, nil
	}
	return "", fmt.Errorf("%s could not be downloaded: %w", module, err)
}

// eachExpr visits the strings under a key `expr`, in every document of a file. A file that is no YAML is a template of something
// else (Helm charts, deliberately broken fixtures). Its name is printed, and it has no queries that could be read.
func eachExpr(file *zip.File, visit func(string)) error {
	reader, err := file.Open()
	if err != nil {
		return err
	}
	defer reader.Close()
	text, err := io.ReadAll(reader)
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), "expr") {
		return nil
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	for {
		var document any
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "left out: %s: %v\n", file.Name, err)
			return nil
		}
		walkExprs(document, visit)
	}
}

func walkExprs(value any, visit func(string)) {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			walkExprs(element, visit)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if text, ok := v[key].(string); ok && key == "expr" {
				visit(text)
			}
			walkExprs(v[key], visit)
		}
	}
}

var (
	grafanaInterval = regexp.MustCompile(`\$\{?__(?:rate_interval|interval|range|auto)(?:_ms|_s)?\}?`)
	grafanaVariable = regexp.MustCompile(`\$\{\w+(?::\w+)?\}|\$\w+|\[\[\w+\]\]`)
)

// fillTemplate puts a value in place of each Grafana variable, so that a dashboard's query can be read.
func fillTemplate(expr string) string {
	return grafanaVariable.ReplaceAllString(grafanaInterval.ReplaceAllString(expr, "5m"), "1")
}
