"""Writes the schemas that a cluster holds manifests to, for kubeconform: those of Kubernetes, from PyPI's
kubernetes-validate, and that of a Knative Service, from Serving's own CRD. Objects take no field that they
do not name, as with `kubectl apply --dry-run=server`.

    python3 .ci/schemas.py FOLDER_OF_SERVING FOLDER
"""

import json
import pathlib
import sys

import kubernetes_validate
import yaml

KUBERNETES = "v1.36"

# Of Kubernetes' own, what knative/ and deploy/cluster/files have.
KINDS = [
    "configmap-v1",
    "cronjob-batch-v1",
    "deployment-apps-v1",
    "job-batch-v1",
    "namespace-v1",
    "networkpolicy-networking-v1",
    "poddisruptionbudget-policy-v1",
    "resourcequota-v1",
    "role-rbac-v1",
    "rolebinding-rbac-v1",
    "service-v1",
    "serviceaccount-v1",
    "statefulset-apps-v1",
]


def strict(schema):
    """Closes each object that names its fields, and is not declared open."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: strict(value) for name, value in schema.items()}
    open_ = schema.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(schema.get("properties"), dict) and not open_:
        closed.setdefault("additionalProperties", False)
    return closed


def whole(schema, definitions):
    """Puts what a schema refers to into its place."""
    if isinstance(schema, list):
        return [whole(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return whole(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    return {name: whole(value, definitions) for name, value in schema.items()}


def write(folder, name, schema):
    (folder / name).write_text(json.dumps(strict(schema)))


def main(serving, out):
    out.mkdir(parents=True, exist_ok=True)
    package = pathlib.Path(kubernetes_validate.__file__).parent
    [kubernetes] = (package / "kubernetes-json-schema").glob(KUBERNETES + ".*-local-strict")
    definitions = json.loads((kubernetes / "_definitions.json").read_text())["$defs"]
    for kind in KINDS:
        name = f"{kind}.json"
        write(out, name, whole(json.loads((kubernetes / name).read_text()), definitions))
    crd = yaml.safe_load((serving / "config/core/300-resources/service.yaml").read_text())
    [v1] = [version for version in crd["spec"]["versions"] if version["name"] == "v1"]
    schema = v1["schema"]["openAPIV3Schema"]
    # A CRD leaves these to the API server.
    for field in ["apiVersion", "kind"]:
        schema["properties"][field] = {"type": "string"}
    schema["properties"]["metadata"] = {"type": "object"}
    write(out, "service-serving-v1.json", schema)


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
