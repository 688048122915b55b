package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
)

// A corpus hands every query that it holds to `add`.
type corpus func(add func(query string)) error

// printCorpus prints each query of a corpus once, as one JSON string per line, in the order of the sources.
func printCorpus(out io.Writer, queries corpus) error {
	w := bufio.NewWriter(out)
	seen := map[string]bool{}
	err := queries(func(query string) {
		if query == "" || seen[query] {
			return
		}
		seen[query] = true
		encoded, err := json.Marshal(query)
		if err != nil {
			panic(err) // a string always has a JSON form
		}
		w.Write(append(encoded, '\n')) // an error is kept, and returned by Flush
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

// goOutput runs the go tool and returns what it prints.
func goOutput(args ...string) ([]byte, error) {
	var stderr bytes.Buffer
	cmd := exec.Command("go", args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("go %v: %w: %s%s", args, err, stderr.Bytes(), out)
	}
	return out, nil
}
