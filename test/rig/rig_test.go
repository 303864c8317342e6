//go:build e2e

package rig_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/test/rig"
)

const (
	startTimeout = 20 * time.Minute // the first start builds
	patience     = time.Minute
	pollEvery    = 50 * time.Millisecond
)

var (
	shared *rig.Rig
	admin  client.Client
)

func TestMain(m *testing.M) {
	SetDefaultEventuallyTimeout(patience)
	SetDefaultEventuallyPollingInterval(pollEvery)
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	code, err := withRig(ctx, m.Run)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// withRig runs the tests against one rig.
func withRig(ctx context.Context, run func() int) (int, error) {
	var err error
	if shared, err = rig.Start(ctx, rig.Options{Out: os.Stderr, With: []string{rig.HelmController, rig.NotificationController}}); err != nil {
		return 1, err
	}
	defer shared.Stop()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, sourcev1.AddToScheme, kustomizev1.AddToScheme} {
		if err := add(scheme); err != nil {
			return 1, err
		}
	}
	if admin, err = client.New(shared.Admin(), client.Options{Scheme: scheme}); err != nil {
		return 1, err
	}
	code := run()
	if code != 0 {
		shared.Tail(os.Stderr)
	}
	if err := shared.Err(); err != nil {
		return 1, err
	}
	return code, nil
}

// newTenant makes a namespace with a service account that administers it, and
// nothing else.
func newTenant(t *testing.T) string {
	t.Helper()
	g := NewWithT(t)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "team-"}}
	g.Expect(admin.Create(t.Context(), namespace)).To(Succeed())
	deployer := metav1.ObjectMeta{Namespace: namespace.Name, Name: "deployer"}
	g.Expect(admin.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: deployer})).To(Succeed())
	g.Expect(admin.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: deployer,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: deployer.Namespace, Name: deployer.Name}},
	})).To(Succeed())
	return namespace.Name
}

// deployment returns the manifest of a Deployment whose pods carry labels.
func deployment(version string, labels map[string]string) string {
	var more strings.Builder
	for key, value := range labels {
		fmt.Fprintf(&more, "\n        %s: %s", key, value)
	}
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
  annotations: {version: %q}
spec:
  replicas: 2
  selector:
    matchLabels: {app: app}
  template:
    metadata:
      labels:
        app: app%s
    spec:
      containers:
      - {name: app, image: "example.com/app:%s"}
`, version, more.String(), version)
}

// gitRepository returns a source that is pinned to a commit of main.
func gitRepository(namespace, url, commit string) *sourcev1.GitRepository {
	return &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app"},
		Spec: sourcev1.GitRepositorySpec{
			URL:       url,
			Interval:  metav1.Duration{Duration: time.Hour},
			Reference: &sourcev1.GitRepositoryRef{Branch: "main", Commit: commit},
		},
	}
}

// kustomization returns what applies the source's directory deploy as the tenant.
func kustomization(namespace string) *kustomizev1.Kustomization {
	return &kustomizev1.Kustomization{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app"},
		Spec: kustomizev1.KustomizationSpec{
			SourceRef:          kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: "app"},
			Path:               "./deploy",
			Interval:           metav1.Duration{Duration: time.Hour},
			RetryInterval:      &metav1.Duration{Duration: time.Second},
			Timeout:            &metav1.Duration{Duration: 30 * time.Second}, // Flux takes no less
			TargetNamespace:    namespace,
			ServiceAccountName: "deployer",
			Prune:              true,
			Wait:               true,
		},
	}
}

// ready returns the Ready condition of an object of Flux's, once it is current.
func ready(ctx context.Context, g Gomega, object meta.ObjectWithConditions) *metav1.Condition {
	o, ok := object.(client.Object)
	g.Expect(ok).To(BeTrue())
	g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(o), o)).To(Succeed())
	condition := apimeta.FindStatusCondition(object.GetConditions(), meta.ReadyCondition)
	g.Expect(condition).NotTo(BeNil())
	g.Expect(condition.ObservedGeneration).To(Equal(o.GetGeneration()))
	return condition
}

func beReady() OmegaMatcher {
	return HaveField("Status", metav1.ConditionTrue)
}

func TestFluxAppliesACommitAndWaitsForItsHealth(t *testing.T) {
	g := NewWithT(t)
	server, namespace := newGitServer(t, anonymous), newTenant(t)
	first := server.commit(map[string]string{"deploy/app.yaml": deployment("1", nil)})
	source, applier := gitRepository(namespace, server.URL, first), kustomization(namespace)
	g.Expect(admin.Create(t.Context(), source)).To(Succeed())
	g.Expect(admin.Create(t.Context(), applier)).To(Succeed())
	started := time.Now()
	g.Eventually(func(g Gomega) { // Flux writes the conditions first and the rest of the status in a second request
		g.Expect(ready(t.Context(), g, applier)).To(beReady())
		g.Expect(applier.Status.LastAppliedRevision).To(Equal("main@sha1:" + first))
	}).Should(Succeed())
	t.Logf("from two new objects to a healthy Deployment: %s", time.Since(started).Round(time.Millisecond))
	g.Expect(admin.Get(t.Context(), client.ObjectKeyFromObject(source), source)).To(Succeed())
	g.Expect(source.Status.Artifact.Revision).To(Equal("main@sha1:" + first))

	second := server.commit(map[string]string{"deploy/app.yaml": deployment("2", nil)})
	started = time.Now()
	patched := source.DeepCopy()
	patched.Spec.Reference.Commit = second
	g.Expect(admin.Patch(t.Context(), patched, client.MergeFrom(source))).To(Succeed())
	g.Eventually(func(g Gomega) {
		g.Expect(ready(t.Context(), g, applier)).To(beReady())
		g.Expect(applier.Status.LastAppliedRevision).To(Equal("main@sha1:" + second))
	}).Should(Succeed())
	t.Logf("from another commit in the source to a healthy Deployment: %s", time.Since(started).Round(time.Millisecond))

	var deployed appsv1.Deployment
	g.Expect(admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "app"}, &deployed)).To(Succeed())
	g.Expect(deployed.Annotations).To(HaveKeyWithValue("version", "2"))
	g.Expect(deployed.Status.AvailableReplicas).To(BeEquivalentTo(2))
}

func TestACrashingReleaseDoesNotBecomeReady(t *testing.T) {
	g := NewWithT(t)
	server, namespace := newGitServer(t, anonymous), newTenant(t)
	commit := server.commit(map[string]string{"deploy/app.yaml": deployment("1", map[string]string{rig.CrashLabel: rig.CrashValue})})
	applier := kustomization(namespace)
	g.Expect(admin.Create(t.Context(), gitRepository(namespace, server.URL, commit))).To(Succeed())
	g.Expect(admin.Create(t.Context(), applier)).To(Succeed())
	g.Eventually(func(g Gomega) {
		condition := ready(t.Context(), g, applier)
		g.Expect(condition.Status).To(Equal(metav1.ConditionFalse))
		g.Expect(condition.Reason).To(Equal(meta.HealthCheckFailedReason))
		g.Expect(applier.Status.LastAttemptedRevision).To(HaveSuffix(commit))
	}).Should(Succeed())
	g.Expect(applier.Status.LastAppliedRevision).To(BeEmpty())
	var pods corev1.PodList
	g.Expect(admin.List(t.Context(), &pods, client.InNamespace(namespace))).To(Succeed())
	g.Expect(pods.Items).To(HaveLen(2))
	for _, pod := range pods.Items {
		g.Expect(pod.Status.ContainerStatuses).To(ConsistOf(HaveField("State.Waiting.Reason", "CrashLoopBackOff")))
	}
}

func TestATenantCannotApplyOutsideItsNamespace(t *testing.T) {
	g := NewWithT(t)
	server, namespace := newGitServer(t, anonymous), newTenant(t)
	commit := server.commit(map[string]string{
		"deploy/role.yaml": "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: everything}\n" +
			"rules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]\n",
	})
	applier := kustomization(namespace)
	g.Expect(admin.Create(t.Context(), gitRepository(namespace, server.URL, commit))).To(Succeed())
	g.Expect(admin.Create(t.Context(), applier)).To(Succeed())
	g.Eventually(func(g Gomega) {
		condition := ready(t.Context(), g, applier)
		g.Expect(condition.Status).To(Equal(metav1.ConditionFalse))
		g.Expect(condition.Message).To(ContainSubstring("forbidden"))
	}).Should(Succeed())
	err := admin.Get(t.Context(), client.ObjectKey{Name: "everything"}, &rbacv1.ClusterRole{})
	g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "the role, which holds every right: %v", err)
}

func TestFluxClonesWithCredentials(t *testing.T) {
	for name, test := range map[string]struct {
		wanted   access
		provider string
		secret   func(*gitServer) map[string]string
	}{
		"user and password": {
			wanted:   password,
			provider: sourcev1.GitProviderGeneric,
			secret: func(*gitServer) map[string]string {
				return map[string]string{"username": gitUser, "password": gitPassword}
			},
		},
		"GitHub App": {
			wanted:   installationToken,
			provider: sourcev1.GitProviderGitHub,
			secret: func(s *gitServer) map[string]string {
				return map[string]string{
					"githubAppID": appID, "githubAppInstallationID": appInstallation,
					"githubAppPrivateKey": privateKey(t), "githubAppBaseURL": s.API,
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			server, namespace := newGitServer(t, test.wanted), newTenant(t)
			commit := server.commit(map[string]string{"deploy/app.yaml": deployment("1", nil)})
			source := gitRepository(namespace, server.URL, commit)
			source.Spec.Provider = test.provider
			source.Spec.SecretRef = &meta.LocalObjectReference{Name: "git"}
			g.Expect(admin.Create(t.Context(), &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "git"},
				StringData: test.secret(server),
			})).To(Succeed())
			g.Expect(admin.Create(t.Context(), source)).To(Succeed())
			g.Eventually(func(g Gomega) {
				g.Expect(ready(t.Context(), g, source)).To(beReady())
				g.Expect(source.Status.Artifact).To(HaveField("Revision", "main@sha1:"+commit))
			}).Should(Succeed())
		})
	}
}

func TestJobsCompleteOrFail(t *testing.T) {
	g := NewWithT(t)
	namespace := newTenant(t)
	job := func(name string, labels map[string]string) *batchv1.Job {
		retries := int32(0)
		return &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec: batchv1.JobSpec{BackoffLimit: &retries, Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					RestartPolicy: corev1.RestartPolicyNever,
					Containers:    []corev1.Container{{Name: "job", Image: "example.com/job"}},
				},
			}},
		}
	}
	good, bad := job("good", nil), job("bad", map[string]string{rig.CrashLabel: rig.CrashValue})
	for job, want := range map[*batchv1.Job]batchv1.JobConditionType{good: batchv1.JobComplete, bad: batchv1.JobFailed} {
		g.Expect(admin.Create(t.Context(), job)).To(Succeed())
		g.Eventually(func(g Gomega) {
			g.Expect(admin.Get(t.Context(), client.ObjectKeyFromObject(job), job)).To(Succeed())
			g.Expect(job.Status.Conditions).To(ContainElement(And(HaveField("Type", want), HaveField("Status", corev1.ConditionTrue))))
		}).Should(Succeed())
	}
}

func TestServiceAccountsMayDoWhatTheirRolesSay(t *testing.T) {
	g := NewWithT(t)
	namespace := newTenant(t)
	config, err := shared.ServiceAccountConfig(t.Context(), namespace, "deployer")
	g.Expect(err).NotTo(HaveOccurred())
	path := filepath.Join(t.TempDir(), "kubeconfig")
	g.Expect(rig.WriteKubeconfig(config, path)).To(Succeed())
	tenant, err := client.New(config, client.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(tenant.List(t.Context(), &corev1.SecretList{}, client.InNamespace(namespace))).To(Succeed())
	g.Expect(tenant.List(t.Context(), &corev1.SecretList{})).To(MatchError(apierrors.IsForbidden, "IsForbidden"))
	output, err := exec.CommandContext(t.Context(), shared.Kubectl(), "--kubeconfig", path, "auth", "whoami").CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), string(output))
	g.Expect(string(output)).To(ContainSubstring("system:serviceaccount:" + namespace + ":deployer"))
	_, err = shared.ServiceAccountConfig(t.Context(), namespace, "nobody")
	g.Expect(err).To(MatchError(apierrors.IsNotFound, "IsNotFound"))
}

func TestApplyTakesFilesAndDirectories(t *testing.T) {
	g := NewWithT(t)
	namespace, dir := newTenant(t), t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		g.Expect(os.MkdirAll(filepath.Dir(path), 0o750)).To(Succeed())
		g.Expect(os.WriteFile(path, []byte(content), 0o600)).To(Succeed())
		return path
	}
	object := func(name string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\n", name, namespace)
	}
	file := write("file.yaml", object("from-file"))
	plain := filepath.Dir(write("plain/a.yaml", object("from-directory")))
	write("built/a.yaml", object("built"))
	built := filepath.Dir(write("built/kustomization.yaml", "resources: [a.yaml]\nnamePrefix: from-kustomize-\n"))
	g.Expect(shared.Apply(t.Context(), file, plain, built)).To(Succeed())
	for _, name := range []string{"from-file", "from-directory", "from-kustomize-built"} {
		g.Expect(admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &corev1.ConfigMap{})).To(Succeed())
	}
	g.Expect(shared.Apply(t.Context(), filepath.Join(dir, "missing.yaml"))).To(MatchError(os.ErrNotExist))
	refused := write("refused.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: no-ports}\n")
	g.Expect(shared.Apply(t.Context(), refused)).To(MatchError(And(ContainSubstring("Service"), ContainSubstring("spec.ports"))))
}
