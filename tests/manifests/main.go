// Judges the deployment files under examples/ by what their own programs carry, and prints them in a form that the tests
// can read. Every document is strict: a field that is unknown, or given twice, is an error.
//
//	manifests documents FILE     the file's YAML documents, one JSON object a line
//	manifests kubernetes FILE    each document judged as an API server would; one line each: kind and name
//	manifests compose FILE       as the compose tool reads it: extended, with its defaults, one JSON object
//	manifests dockerfile FILE    BuildKit's reading: its instructions, one JSON object a line
//	manifests image TAR          an OCI image, pulled from a registry as Istio pulls it: platform, version, the module's SHA-256
package main

import (
	"fmt"
	"io"
	"os"
)

var commands = map[string]func(file string, out io.Writer) error{
	"documents":  printDocuments,
	"kubernetes": judgeKubernetes,
	"compose":    printCompose,
	"dockerfile": printDockerfile,
	"image":      judgeImage,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "manifests:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 || commands[args[0]] == nil {
		return fmt.Errorf("usage: manifests documents|kubernetes|compose|dockerfile|image FILE")
	}
	if err := commands[args[0]](args[1], os.Stdout); err != nil {
		return fmt.Errorf("%s: %w", args[1], err)
	}
	return nil
}
