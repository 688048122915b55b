package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	runtimeschema "k8s.io/apimachinery/pkg/runtime/schema"
	jsonutil "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	strict "sigs.k8s.io/yaml"
)

// The built-in kinds that the examples use, decoded strictly into Kubernetes's own types.
var builtin = map[runtimeschema.GroupVersionKind]func() any{
	{Version: "v1", Kind: "ConfigMap"}:                                     func() any { return &corev1.ConfigMap{} },
	{Version: "v1", Kind: "Namespace"}:                                     func() any { return &corev1.Namespace{} },
	{Version: "v1", Kind: "Secret"}:                                        func() any { return &corev1.Secret{} },
	{Version: "v1", Kind: "Service"}:                                       func() any { return &corev1.Service{} },
	{Group: "apps", Version: "v1", Kind: "Deployment"}:                     func() any { return &appsv1.Deployment{} },
	{Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"}: func() any { return &autoscalingv2.HorizontalPodAutoscaler{} },
	{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"}:     func() any { return &networkingv1.NetworkPolicy{} },
	{Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"}:          func() any { return &policyv1.PodDisruptionBudget{} },
}

// judgeKubernetes judges every document of a file, and what they say of each other.
func judgeKubernetes(file string, out io.Writer) error {
	read, err := documents(file)
	if err != nil {
		return err
	}
	if len(read) == 0 {
		return fmt.Errorf("there is no document in it")
	}
	custom, err := definitions()
	if err != nil {
		return err
	}
	var objects []any
	for number, document := range read {
		var head struct {
			metav1.TypeMeta   `json:",inline"`
			metav1.ObjectMeta `json:"metadata"`
		}
		if err := json.Unmarshal(document, &head); err != nil {
			return fmt.Errorf("document %d: %w", number+1, err)
		}
		name := fmt.Sprintf("%s %s", head.Kind, head.Name)
		kind := runtimeschema.FromAPIVersionAndKind(head.APIVersion, head.Kind)
		switch {
		case head.Name == "":
			err = fmt.Errorf("it has no name")
		case builtin[kind] != nil:
			object := builtin[kind]()
			err = strict.UnmarshalStrict(document, object)
			objects = append(objects, object)
		case custom[kind] != nil:
			err = judgeCustom(document, custom[kind])
		default:
			err = fmt.Errorf("no schema is known for %s", kind)
		}
		if err != nil {
			return fmt.Errorf("document %d, %s: %w", number+1, name, err)
		}
		fmt.Fprintln(out, name)
	}
	return judgeReferences(objects)
}

// judgeCustom does what an API server does with a custom resource that is created: unknown fields (kubectl's strict
// validation makes them errors), defaults, the schema, lists that are sets or maps, and the CEL rules.
func judgeCustom(document []byte, props *apiextensions.JSONSchemaProps) error {
	var object map[string]any
	if err := jsonutil.Unmarshal(document, &object); err != nil {
		return err
	}
	structural, err := schema.NewStructural(props)
	if err != nil {
		return err
	}
	unknown := pruning.PruneWithOptions(object, structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	if len(unknown) > 0 {
		return fmt.Errorf("unknown fields: %s", strings.Join(unknown, ", "))
	}
	defaulting.Default(object, structural)
	validator, _, err := validation.NewSchemaValidator(props)
	if err != nil {
		return err
	}
	ctx := context.Background()
	problems := validation.ValidateCustomResource(nil, object, validator)
	problems = append(problems, listtype.ValidateListSetsAndMaps(nil, structural, object)...)
	problems = append(problems, objectmeta.Validate(ctx, nil, object, structural, true)...)
	if rules := cel.NewValidator(structural, true, math.MaxInt64); rules != nil {
		var root *field.Path
		failed, _ := rules.Validate(ctx, root, structural, object, nil, math.MaxInt64)
		problems = append(problems, failed...)
	}
	return problems.ToAggregate()
}
