// Command objects reads objects of Kubernetes as YAML from its standard input, and finds out what an API server would say to each: it
// decodes them strictly, and has the API server's own strategies set defaults and validate them. Pods that they make are held against
// the Pod Security Standard "restricted".
//
// It prints a line for everything that is wrong, and how many objects there were, and ends with status 1 if anything is wrong.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	api "k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	"k8s.io/kubernetes/pkg/registry/apps/deployment"
	"k8s.io/kubernetes/pkg/registry/autoscaling/horizontalpodautoscaler"
	"k8s.io/kubernetes/pkg/registry/batch/cronjob"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"k8s.io/kubernetes/pkg/registry/core/configmap"
	"k8s.io/kubernetes/pkg/registry/core/persistentvolumeclaim"
	"k8s.io/kubernetes/pkg/registry/core/secret"
	"k8s.io/kubernetes/pkg/registry/core/service"
	"k8s.io/kubernetes/pkg/registry/core/serviceaccount"
	"k8s.io/kubernetes/pkg/registry/networking/ingress"
	"k8s.io/kubernetes/pkg/registry/networking/networkpolicy"
	"k8s.io/kubernetes/pkg/registry/policy/poddisruptionbudget"
	security "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// strategies are what the API server makes objects by, by their kinds.
var strategies = map[string]rest.RESTCreateStrategy{
	"ConfigMap":               configmap.Strategy,
	"CronJob":                 cronjob.Strategy,
	"Deployment":              deployment.Strategy,
	"HorizontalPodAutoscaler": horizontalpodautoscaler.Strategy,
	"Ingress":                 ingress.Strategy,
	"Job":                     job.Strategy,
	"NetworkPolicy":           networkpolicy.Strategy,
	"PersistentVolumeClaim":   persistentvolumeclaim.Strategy,
	"PodDisruptionBudget":     poddisruptionbudget.Strategy,
	"Secret":                  secret.Strategy,
	"Service":                 service.Strategy,
	"ServiceAccount":          serviceaccount.Strategy,
}

// pods returns the template of the pods that an object makes, or nil.
func pods(object runtime.Object) *core.PodTemplateSpec {
	switch made := object.(type) {
	case *apps.Deployment:
		return &made.Spec.Template
	case *batch.Job:
		return &made.Spec.Template
	case *batch.CronJob:
		return &made.Spec.JobTemplate.Spec.Template
	}
	return nil
}

// restricted returns what the Pod Security Standard "restricted" forbids about the pods of an object.
func restricted(object runtime.Object) error {
	template := pods(object)
	if template == nil {
		return nil
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return err
	}
	level := security.LevelVersion{Level: security.LevelRestricted, Version: security.LatestVersion()}
	if all := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &template.ObjectMeta, &template.Spec)); !all.Allowed {
		return errors.New(all.ForbiddenDetail())
	}
	return nil
}

// check returns what is wrong with one object.
func check(document []byte) (string, error) {
	outer, group, err := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict).UniversalDeserializer().Decode(document, nil, nil)
	if err != nil {
		return "", fmt.Errorf("%w in\n%s", err, document)
	}
	accessor := outer.(metav1.Object)
	name := group.Kind + " " + accessor.GetName()
	if group.Group == "monitoring.coreos.com" {
		return name, nil
	}
	strategy, known := strategies[group.Kind]
	if !known {
		return name, errors.New("there is no strategy for it in this program")
	}
	if accessor.GetNamespace() == "" {
		accessor.SetNamespace("default")
	}
	ctx := request.WithNamespace(context.Background(), accessor.GetNamespace())
	ctx = request.WithRequestInfo(ctx, &request.RequestInfo{APIGroup: group.Group, APIVersion: group.Version})
	legacyscheme.Scheme.Default(outer)
	internal, err := legacyscheme.Scheme.UnsafeConvertToVersion(outer.DeepCopyObject(), runtime.InternalGroupVersioner)
	if err != nil {
		return name, err
	}
	rest.FillObjectMetaSystemFields(internal.(metav1.Object))
	if headless, ok := internal.(*api.Service); ok && headless.Spec.ClusterIP != "" {
		headless.Spec.ClusterIPs = []string{headless.Spec.ClusterIP} // as the store of the API server does before
	}
	if err := rest.BeforeCreate(strategy, ctx, internal); err != nil {
		return name, err
	}
	if warnings := strategy.WarningsOnCreate(ctx, internal); len(warnings) > 0 {
		return name, errors.New(strings.Join(warnings, "; "))
	}
	return name, restricted(outer)
}

func main() {
	if err := monitoring.AddToScheme(legacyscheme.Scheme); err != nil {
		panic(err)
	}
	reader, status, seen := yaml.NewYAMLReader(bufio.NewReader(os.Stdin)), 0, 0
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			fmt.Printf("%d objects\n", seen)
			os.Exit(status)
		}
		if err != nil {
			panic(err)
		}
		text := strings.TrimSpace(string(document))
		if text == "" || text == "---" {
			continue
		}
		seen++
		if name, err := check(document); err != nil {
			fmt.Printf("%s: %v\n", name, err)
			status = 1
		}
	}
}
