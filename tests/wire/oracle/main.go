// What Thanos's and Prometheus's own code makes of the messages that the filter reads and writes.
//
//	oracle generate SEED COUNT    random messages, whole and broken, one JSON object a line, on stdout
//	oracle judge                  the same lines with what the filter wrote on stdin, one verdict a line on stdout, in order
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"strconv"
)

// A message of some kind, and what the filter made of it.
type message struct {
	Kind string `json:"kind"`
	// Whether it was encoded by Go and left as it was.
	Whole bool   `json:"whole"`
	In    string `json:"in"`
	// What the filter wrote, or why it refused.
	Out   *string `json:"out,omitempty"`
	Error string  `json:"error,omitempty"`
	// For answers: what has to pass, and the labels of each series.
	Passes string       `json:"passes,omitempty"`
	Series [][][]string `json:"series,omitempty"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	out := bufio.NewWriter(os.Stdout)
	switch {
	case len(args) == 3 && args[0] == "generate":
		seed, seedErr := strconv.ParseInt(args[1], 10, 64)
		count, countErr := strconv.Atoi(args[2])
		if err := errors.Join(seedErr, countErr); err != nil {
			return err
		}
		lines := json.NewEncoder(out)
		random := random{rand.New(rand.NewSource(seed))}
		for range count {
			if err := lines.Encode(random.message()); err != nil {
				return err
			}
		}
	case len(args) == 1 && args[0] == "judge":
		in, lines := json.NewDecoder(os.Stdin), json.NewEncoder(out)
		for {
			var m message
			if err := in.Decode(&m); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return err
			}
			if err := lines.Encode(judge(m)); err != nil {
				return err
			}
		}
	default:
		return errors.New("usage: oracle generate SEED COUNT | oracle judge")
	}
	return out.Flush()
}
