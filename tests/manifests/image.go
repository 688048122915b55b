package main

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// judgeImage pushes the image to a registry on loopback and pulls it again, as `skopeo copy` and a proxy would. What is
// pulled has to be what Istio 1.31 (pkg/wasm/imagefetcher.go, extractOCIStandardImage) and Envoy Gateway 1.9 take the module from:
// a last layer of the standard type with a file plugin.wasm at its root. Prints platform, version and the module's SHA-256.
func judgeImage(file string, out io.Writer) error {
	folder, err := os.MkdirTemp("", "oci")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := unpack(file, folder); err != nil {
		return err
	}
	index, err := onlyIndex(folder)
	if err != nil {
		return err
	}
	if err := validate.Index(index); err != nil {
		return err
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	reference, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://") + "/filter:checked")
	if err != nil {
		return err
	}
	if err := remote.WriteIndex(reference, index); err != nil {
		return err
	}
	// Istio asks for no platform, which is amd64; a kubelet asks for its own.
	for _, architecture := range []string{"", "amd64", "arm64"} {
		var options []remote.Option
		if architecture != "" {
			options = append(options, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: architecture}))
		}
		pulled, err := remote.Image(reference, options...)
		if err != nil {
			return err
		}
		config, err := pulled.ConfigFile()
		if err != nil {
			return err
		}
		module, err := pluginOf(pulled)
		if err != nil {
			return err
		}
		version := config.Config.Labels["org.opencontainers.image.version"]
		fmt.Fprintf(out, "[%q, %q, \"%x\"]\n", config.Architecture, version, sha256.Sum256(module))
	}
	return nil
}

func pluginOf(image v1.Image) ([]byte, error) {
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	if len(layers) == 0 {
		return nil, errors.New("there is no layer")
	}
	layer := layers[len(layers)-1]
	if kind, err := layer.MediaType(); err != nil || kind != types.OCILayer {
		return nil, fmt.Errorf("the last layer is of type %s, and has to be %s", kind, types.OCILayer)
	}
	content, err := layer.Uncompressed()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	for files := tar.NewReader(content); ; {
		header, err := files.Next()
		if err != nil {
			return nil, fmt.Errorf("no plugin.wasm at the root of the last layer: %w", err)
		}
		if filepath.Clean(header.Name) == "plugin.wasm" {
			return io.ReadAll(files)
		}
	}
}

// onlyIndex opens an OCI layout with one image, of several platforms, in it.
func onlyIndex(folder string) (v1.ImageIndex, error) {
	top, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return nil, err
	}
	manifest, err := top.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(manifest.Manifests) != 1 {
		return nil, fmt.Errorf("%d images in the layout, and there has to be one", len(manifest.Manifests))
	}
	return top.ImageIndex(manifest.Manifests[0].Digest)
}

// unpack puts a tar file's files below a folder.
func unpack(file, folder string) error {
	opened, err := os.Open(file)
	if err != nil {
		return err
	}
	defer opened.Close()
	for files := tar.NewReader(opened); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !filepath.IsLocal(header.Name) {
			return fmt.Errorf("%s is not below the layout", header.Name)
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		content, err := io.ReadAll(files)
		if err != nil {
			return err
		}
		path := filepath.Join(folder, filepath.FromSlash(header.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
}
