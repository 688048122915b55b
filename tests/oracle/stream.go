package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"runtime"
)

// linesPerChunk is how many cases a worker takes at once: enough to make the channels cheap, few enough to keep all workers busy.
const linesPerChunk = 128

type chunk struct {
	lines [][]byte
	done  chan result
}

type result struct {
	bytes []byte
	err   error
}

// judgeLines reads cases, judges them on every core, and writes the verdicts in the order of the cases.
func judgeLines(in io.Reader, out io.Writer) error {
	if err := silenceParserPanics(); err != nil {
		return err
	}
	workers := runtime.GOMAXPROCS(0)
	work := make(chan chunk, workers)
	inOrder := make(chan chunk, 4*workers)
	for range workers {
		go func() {
			for c := range work {
				c.done <- judgeChunk(c.lines)
			}
		}()
	}
	readErr := make(chan error, 1)
	go func() {
		readErr <- readChunks(in, work, inOrder)
		close(work)
		close(inOrder)
	}()

	w := bufio.NewWriterSize(out, 1<<20)
	for c := range inOrder {
		r := <-c.done
		if r.err != nil {
			return r.err
		}
		if _, err := w.Write(r.bytes); err != nil {
			return err
		}
	}
	if err := <-readErr; err != nil {
		return err
	}
	return w.Flush()
}

func readChunks(in io.Reader, work, inOrder chan<- chunk) error {
	r := bufio.NewReaderSize(in, 1<<20)
	for {
		c := chunk{done: make(chan result, 1)}
		for len(c.lines) < linesPerChunk {
			line, err := r.ReadBytes('\n')
			if len(line) > 0 {
				c.lines = append(c.lines, line)
			}
			if err == io.EOF {
				if len(c.lines) > 0 {
					inOrder <- c
					work <- c
				}
				return nil
			}
			if err != nil {
				return err
			}
		}
		inOrder <- c
		work <- c
	}
}

func judgeChunk(lines [][]byte) result {
	var out []byte
	for _, line := range lines {
		var c testCase
		if err := json.Unmarshal(line, &c); err != nil {
			return result{err: err}
		}
		v, err := judge(&c)
		if err != nil {
			return result{err: err}
		}
		encoded, err := json.Marshal(v)
		if err != nil {
			return result{err: err}
		}
		out = append(append(out, encoded...), '\n')
	}
	return result{bytes: out}
}

// silenceParserPanics removes the stack traces that the parser prints when it recovers from its own panic (promql/parser/parse.go, recover).
// Such a query counts as refused, with the kind "panic".
func silenceParserPanics() error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	os.Stderr = null
	return nil
}
