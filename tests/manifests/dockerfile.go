package main

import (
	"encoding/json"
	"io"
	"os"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// printDockerfile reads a Dockerfile as BuildKit does, and prints its instructions.
func printDockerfile(file string, out io.Writer) error {
	opened, err := os.Open(file)
	if err != nil {
		return err
	}
	defer opened.Close()
	read, err := parser.Parse(opened)
	if err != nil {
		return err
	}
	stages, _, err := instructions.Parse(read.AST, nil)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(out)
	for _, stage := range stages {
		if err := encoder.Encode([]string{"FROM", stage.BaseName}); err != nil {
			return err
		}
		for _, command := range stage.Commands {
			said := []string{command.Name()}
			switch command := command.(type) {
			case *instructions.CopyCommand:
				said = append(append(said, command.SourcePaths...), command.DestPath)
			case *instructions.LabelCommand:
				for _, label := range command.Labels {
					said = append(said, label.Key+"="+label.Value)
				}
			}
			if err := encoder.Encode(said); err != nil {
				return err
			}
		}
	}
	return nil
}
