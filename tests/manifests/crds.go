package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	runtimeschema "k8s.io/apimachinery/pkg/runtime/schema"
	strict "sigs.k8s.io/yaml"
)

// Where the custom resource definitions come from: the projects' own Go modules, which carry them as YAML. Go checks what it
// downloads against its checksum database.
var published = []struct{ module, files string }{
	{"istio.io/api@v1.31.1", "kubernetes/customresourcedefinitions.gen.yaml"},
	{"github.com/envoyproxy/gateway@v1.9.1", "charts/gateway-helm/charts/crds/crds/gatewayapi-crds.yaml"},
	{"github.com/envoyproxy/gateway@v1.9.1", "charts/gateway-helm/charts/crds/crds/generated/*.yaml"},
	{"github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd/*_prometheusrules.yaml"},
	{"github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd/*_servicemonitors.yaml"},
}

// definitions gives the schema of every custom resource that is served.
func definitions() (map[runtimeschema.GroupVersionKind]*apiextensions.JSONSchemaProps, error) {
	all := map[runtimeschema.GroupVersionKind]*apiextensions.JSONSchemaProps{}
	for _, source := range published {
		folder, err := download(source.module)
		if err != nil {
			return nil, err
		}
		files, err := filepath.Glob(filepath.Join(folder, source.files))
		if err != nil || len(files) == 0 {
			return nil, fmt.Errorf("%s has no %s", source.module, source.files)
		}
		for _, file := range files {
			if err := addDefinitions(all, file); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	return all, nil
}

func addDefinitions(all map[runtimeschema.GroupVersionKind]*apiextensions.JSONSchemaProps, file string) error {
	read, err := documents(file)
	if err != nil {
		return err
	}
	for _, document := range read {
		var given apiextensionsv1.CustomResourceDefinition
		if err := strict.Unmarshal(document, &given); err != nil {
			return err
		}
		if given.Kind != "CustomResourceDefinition" {
			continue
		}
		var definition apiextensions.CustomResourceDefinition
		err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&given, &definition, nil)
		if err != nil {
			return err
		}
		for _, version := range definition.Spec.Versions {
			validation, err := apiextensions.GetSchemaForVersion(&definition, version.Name)
			if err != nil {
				return err
			}
			if !version.Served || validation == nil {
				continue
			}
			kind := runtimeschema.GroupVersionKind{
				Group: definition.Spec.Group, Version: version.Name, Kind: definition.Spec.Names.Kind,
			}
			all[kind] = validation.OpenAPIV3Schema
		}
	}
	return nil
}

// download prints where the module's files are, after it has seen to it that they are there.
func download(module string) (string, error) {
	command := exec.Command("go", "mod", "download", "-json", module)
	// Outside of any module, so that it adds nothing to ours.
	command.Dir = os.TempDir()
	answer, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go mod download %s: %w: %s", module, err, answer)
	}
	var downloaded struct{ Dir string }
	if err := json.NewDecoder(bytes.NewReader(answer)).Decode(&downloaded); err != nil {
		return "", err
	}
	return downloaded.Dir, nil
}
