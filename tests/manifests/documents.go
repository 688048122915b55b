package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"
)

// documents gives each YAML document of a file as JSON. One without content (a comment) is left out.
func documents(file string) ([][]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var all [][]byte
	reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		json, err := strict.YAMLToJSONStrict(document)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", len(all)+1, err)
		}
		if !bytes.Equal(json, []byte("null")) {
			all = append(all, json)
		}
	}
}

func printDocuments(file string, out io.Writer) error {
	all, err := documents(file)
	if err != nil {
		return err
	}
	for _, document := range all {
		fmt.Fprintf(out, "%s\n", document)
	}
	return nil
}
