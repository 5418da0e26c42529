//! What watches cold starts on a cluster that has observability (`zerocart anatomy`, deploy/anatomy). It is beside
//! the functions' files, because its role is one of their namespace.

use crate::{NAMESPACE, Output, knative::SECURITY_CONTEXT, text::head};

/// The namespace of what collects telemetry.
pub const OBSERVABILITY: &str = "zerocart-observability";

/// The name of the Deployment. The collector reads the logs of pods whose names begin so.
pub const COLD_STARTS: &str = "coldstart";

/// `knative/observability/coldstart.yaml`.
pub fn render(version: &str) -> Output {
    let head = head("#", "deploy/src/observability.rs");
    let text = format!(
        "{head}\
# Writes the phases of cold starts as spans on its standard output, where the collector takes them as it takes those
# of functions. It is not in the way of any request: without it, traces lack the phases, and nothing else.
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {COLD_STARTS}
  namespace: {OBSERVABILITY}
---
# It reads, in one namespace. The log of a function has the trace of the call that it was started for.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {COLD_STARTS}
  namespace: {NAMESPACE}
rules:
  - apiGroups: [\"\"]
    resources: [pods, events]
    verbs: [list, watch]
  - apiGroups: [\"\"]
    resources: [pods/log]
    verbs: [get]
  - apiGroups: [apps]
    resources: [deployments]
    verbs: [list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {COLD_STARTS}
  namespace: {NAMESPACE}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {COLD_STARTS}
subjects:
  - kind: ServiceAccount
    name: {COLD_STARTS}
    namespace: {OBSERVABILITY}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {COLD_STARTS}
  namespace: {OBSERVABILITY}
  labels:
    app.kubernetes.io/name: {COLD_STARTS}
spec:
  # Two would write each phase twice.
  replicas: 1
  strategy:
    type: Recreate
  selector:
    matchLabels:
      app.kubernetes.io/name: {COLD_STARTS}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {COLD_STARTS}
    spec:
      serviceAccountName: {COLD_STARTS}
      enableServiceLinks: false
      terminationGracePeriodSeconds: 5
      containers:
        - name: {COLD_STARTS}
          image: dev.local/zerocart/zerocart:{version}
          imagePullPolicy: IfNotPresent
          args: [anatomy, --namespace, {NAMESPACE}]
{SECURITY_CONTEXT}          # 20 MB on one node. Lists of pods and events of the namespace are in memory while they are read.
          resources:
            requests:
              cpu: 10m
              memory: 24Mi
            limits:
              memory: 128Mi
---
# Nobody calls it, and it calls the API server alone, whose address is that of no pod.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {COLD_STARTS}
  namespace: {OBSERVABILITY}
spec:
  podSelector:
    matchLabels:
      app.kubernetes.io/name: {COLD_STARTS}
  policyTypes: [Ingress, Egress]
  egress:
    - ports:
        - {{protocol: TCP, port: 443}}
        - {{protocol: TCP, port: 6443}}
"
    );
    Output::file(format!("knative/observability/{COLD_STARTS}.yaml"), text)
}
