# Debian's python3-kubernetes against a cluster (KUBECONFIG): create, watch, patch, delete; a pod's log and exec; leader election by a
# ConfigMap. Run by clients.test.ts; prints "ok" as its last line, or ends with a traceback.
import threading
import uuid

from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock
from kubernetes.stream import stream

config.load_kube_config()
NAMESPACE = "python"
core, apps = client.CoreV1Api(), client.AppsV1Api()
version = client.VersionApi().get_code()
assert (version.major, version.minor) == ("1", "34"), version

core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
for _ in range(300):
    if any(s.metadata.name == "default" for s in core.list_namespaced_service_account(NAMESPACE).items):
        break
    threading.Event().wait(0.1)

# Create, watch, patch, delete.
seen = []
start = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="c"), data={"a": "1"}))
core.patch_namespaced_config_map("c", NAMESPACE, {"data": {"b": "2"}})
core.patch_namespaced_config_map("c", NAMESPACE, [{"op": "remove", "path": "/data/a"}])
core.delete_namespaced_config_map("c", NAMESPACE)
for event in watch.Watch().stream(
    core.list_namespaced_config_map, NAMESPACE, field_selector="metadata.name=c", resource_version=start, timeout_seconds=20
):
    seen.append((event["type"], event["object"].data))
    if event["type"] == "DELETED":
        break
assert seen == [("ADDED", {"a": "1"}), ("MODIFIED", {"a": "1", "b": "2"}), ("MODIFIED", {"b": "2"}), ("DELETED", {"b": "2"})], seen

try:
    core.read_namespaced_config_map("c", NAMESPACE)
    raise AssertionError("it is still there")
except ApiException as e:
    assert e.status == 404 and e.reason == "Not Found", e

# A Deployment runs; its pod's log and a command in it.
container = client.V1Container(
    name="c",
    image="registry.k8s.io/e2e-test-images/agnhost:2.56",
    args=["netexec", "--http-port=80"],
    resources=client.V1ResourceRequirements(requests={"cpu": "10m"}),
)
template = client.V1PodTemplateSpec(
    metadata=client.V1ObjectMeta(labels={"app": "d"}),
    spec=client.V1PodSpec(containers=[container], termination_grace_period_seconds=0),
)
spec = client.V1DeploymentSpec(replicas=1, selector=client.V1LabelSelector(match_labels={"app": "d"}), template=template)
apps.create_namespaced_deployment(NAMESPACE, client.V1Deployment(metadata=client.V1ObjectMeta(name="d"), spec=spec))
for event in watch.Watch().stream(apps.list_namespaced_deployment, NAMESPACE, timeout_seconds=60):
    if event["object"].status.available_replicas == 1:
        break
else:
    raise AssertionError("the Deployment does not become available")
pod = core.list_namespaced_pod(NAMESPACE, label_selector="app=d").items[0]
assert "Started HTTP server on port 80" in core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE)
out = stream(
    core.connect_get_namespaced_pod_exec, pod.metadata.name, NAMESPACE, command=["echo", "out"], stdout=True, stderr=True, stdin=False, tty=False
)
assert out == "out\n", repr(out)
apps.patch_namespaced_deployment_scale("d", NAMESPACE, {"spec": {"replicas": 0}})
assert not apps.read_namespaced_deployment_scale("d", NAMESPACE).spec.replicas  # Zero is left out.
apps.delete_namespaced_deployment("d", NAMESPACE, propagation_policy="Foreground")

# Every kind of list can be read into its model: required fields are there, even empty ones.
for listing in (core.list_node, core.list_namespace, core.list_event_for_all_namespaces, apps.list_daemon_set_for_all_namespaces,
                client.RbacAuthorizationV1Api().list_cluster_role, client.StorageV1Api().list_storage_class,
                client.ApiextensionsV1Api().list_custom_resource_definition, client.ApiregistrationV1Api().list_api_service,
                client.CoordinationV1Api().list_lease_for_all_namespaces, client.SchedulingV1Api().list_priority_class):
    listing()

# Leader election: the second candidate waits until the first lets go.
led = []


class Done(Exception):
    pass


def candidate(name):
    def lead():
        led.append(name)

    lock = ConfigMapLock("leader", NAMESPACE, name)
    return electionconfig.Config(lock, lease_duration=3, renew_deadline=2, retry_period=1, onstarted_leading=lead, onstopped_leading=lambda: None)


first, second = str(uuid.uuid4()), str(uuid.uuid4())
threading.Thread(target=lambda: leaderelection.LeaderElection(candidate(first)).run(), daemon=True).start()
for _ in range(100):
    if led:
        break
    threading.Event().wait(0.1)
threading.Thread(target=lambda: leaderelection.LeaderElection(candidate(second)).run(), daemon=True).start()
threading.Event().wait(2.5)
assert led == [first], led
record = core.read_namespaced_config_map("leader", NAMESPACE).metadata.annotations["control-plane.alpha.kubernetes.io/leader"]
assert first in record, record

core.delete_namespace(NAMESPACE)
print("ok")
