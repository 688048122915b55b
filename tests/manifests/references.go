package main

import (
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// judgeReferences compares what the built-in objects of one file say of each other, which no schema does: a selector that
// selects nothing is valid, and so is a volume of a ConfigMap that is nowhere.
func judgeReferences(objects []any) error {
	configMaps := map[string]*corev1.ConfigMap{}
	var deployments []*appsv1.Deployment
	for _, object := range objects {
		switch object := object.(type) {
		case *corev1.ConfigMap:
			configMaps[object.Name] = object
		case *appsv1.Deployment:
			deployments = append(deployments, object)
		}
	}
	var problems []error
	for _, object := range objects {
		switch object := object.(type) {
		case *appsv1.Deployment:
			problems = append(problems, judgeDeployment(object, configMaps)...)
		case *corev1.Service:
			selector := labels.SelectorFromSet(object.Spec.Selector)
			problems = append(problems, judgeService(object, selected(deployments, selector))...)
		case *autoscalingv2.HorizontalPodAutoscaler:
			problems = append(problems, judgeAutoscaler(object, deployments)...)
		case *networkingv1.NetworkPolicy:
			problems = append(problems, judgeNetworkPolicy(object, deployments)...)
		case *policyv1.PodDisruptionBudget:
			problems = append(problems, selects("PodDisruptionBudget "+object.Name, object.Spec.Selector, deployments)...)
		}
	}
	return errors.Join(problems...)
}

func judgeDeployment(deployment *appsv1.Deployment, configMaps map[string]*corev1.ConfigMap) (problems []error) {
	report := func(format string, arguments ...any) {
		problems = append(problems, fmt.Errorf("Deployment "+deployment.Name+": "+format, arguments...))
	}
	pod := deployment.Spec.Template
	problems = append(problems, selects("Deployment "+deployment.Name, deployment.Spec.Selector, []*appsv1.Deployment{deployment})...)
	volumes := map[string]bool{}
	for _, volume := range pod.Spec.Volumes {
		volumes[volume.Name] = true
		if volume.ConfigMap == nil {
			continue
		}
		configMap := configMaps[volume.ConfigMap.Name]
		if configMap == nil {
			report("there is no ConfigMap %s", volume.ConfigMap.Name)
			continue
		}
		for _, item := range volume.ConfigMap.Items {
			if _, ok := configMap.Data[item.Key]; !ok {
				report("ConfigMap %s has no %s", configMap.Name, item.Key)
			}
		}
	}
	for _, container := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
		ports := map[string]bool{}
		for _, port := range container.Ports {
			ports[port.Name] = true
		}
		for _, mount := range container.VolumeMounts {
			if !volumes[mount.Name] {
				report("there is no volume %s", mount.Name)
			}
		}
		for _, probe := range []*corev1.Probe{container.ReadinessProbe, container.LivenessProbe, container.StartupProbe} {
			if probe != nil && probe.HTTPGet != nil && probe.HTTPGet.Port.StrVal != "" && !ports[probe.HTTPGet.Port.StrVal] {
				report("a probe asks port %s, which %s has not", probe.HTTPGet.Port.StrVal, container.Name)
			}
		}
	}
	return problems
}

func judgeService(service *corev1.Service, behind []*appsv1.Deployment) (problems []error) {
	for _, deployment := range behind {
		named := containerPorts(deployment)
		for _, port := range service.Spec.Ports {
			if port.TargetPort.StrVal != "" && !named[port.TargetPort.StrVal] {
				problems = append(problems, fmt.Errorf("Service %s: there is no port %s", service.Name, port.TargetPort.StrVal))
			}
		}
	}
	if len(behind) == 0 {
		problems = append(problems, fmt.Errorf("Service %s selects no pod", service.Name))
	}
	return problems
}

func judgeAutoscaler(autoscaler *autoscalingv2.HorizontalPodAutoscaler, deployments []*appsv1.Deployment) []error {
	target := autoscaler.Spec.ScaleTargetRef
	for _, deployment := range deployments {
		if target.APIVersion == "apps/v1" && target.Kind == "Deployment" && target.Name == deployment.Name {
			return nil
		}
	}
	return []error{fmt.Errorf("HorizontalPodAutoscaler %s: there is no %s %s", autoscaler.Name, target.Kind, target.Name)}
}

// judgeNetworkPolicy compares named ports with those of the pods that are selected. A policy may be for pods of elsewhere.
func judgeNetworkPolicy(policy *networkingv1.NetworkPolicy, deployments []*appsv1.Deployment) (problems []error) {
	selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
	if err != nil {
		return []error{fmt.Errorf("NetworkPolicy %s: %w", policy.Name, err)}
	}
	for _, deployment := range selected(deployments, selector) {
		named := containerPorts(deployment)
		for _, rule := range policy.Spec.Ingress {
			for _, port := range rule.Ports {
				if port.Port != nil && port.Port.StrVal != "" && !named[port.Port.StrVal] {
					problems = append(problems, fmt.Errorf("NetworkPolicy %s: there is no port %s", policy.Name, port.Port.StrVal))
				}
			}
		}
	}
	return problems
}

// containerPorts has the names of a pod's ports.
func containerPorts(deployment *appsv1.Deployment) map[string]bool {
	named := map[string]bool{}
	for _, container := range deployment.Spec.Template.Spec.Containers {
		for _, port := range container.Ports {
			named[port.Name] = true
		}
	}
	return named
}

// selects reports a selector that selects no pod of these.
func selects(who string, selector *metav1.LabelSelector, deployments []*appsv1.Deployment) []error {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return []error{fmt.Errorf("%s: %w", who, err)}
	}
	if len(selected(deployments, parsed)) == 0 {
		return []error{fmt.Errorf("%s selects no pod", who)}
	}
	return nil
}

func selected(deployments []*appsv1.Deployment, selector labels.Selector) (found []*appsv1.Deployment) {
	for _, deployment := range deployments {
		if selector.Matches(labels.Set(deployment.Spec.Template.Labels)) {
			found = append(found, deployment)
		}
	}
	return found
}
