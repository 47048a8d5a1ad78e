// Binding: the scheduler's word that a pod runs on a node (core/pod/storage BindingREST). Sets spec.nodeName and PodScheduled once.
import { errorText, type KubeObject, notSupported, required, StatusError, statusErrors } from "@podwire/api";
import type { Api, ApiResponse, Call } from "../call.ts";
import { writeOptions } from "../request/options.ts";
import { success, valueResponse } from "../response.ts";
import { bindNamespace, decodeObject, timeText } from "../verbs/body.ts";
import { attributesOf } from "../verbs/create.ts";
import { kindInfo } from "./kind-info.ts";

const PODS = { group: "", resource: "pods" };
const BINDING = { group: "", resource: "pods/binding" };

/** POST pods/{name}/binding, and POST bindings with `name` undefined. */
export async function bindPod(api: Api, call: Call, name: string | undefined): Promise<ApiResponse> {
  const options = writeOptions(call.info.query, "CreateOptions");
  const binding = decodeObject(call, kindInfo("", "v1", "Binding"), options.fieldValidation);
  bindNamespace(call, binding);
  const podName = name ?? binding.metadata.name ?? "";
  if (name !== undefined && binding.metadata.name && binding.metadata.name !== name)
    throw statusErrors.badRequest("name in URL does not match name in Binding object");
  const target = binding["target"] ?? {};
  const errors = [];
  if (target.kind && target.kind !== "Node") errors.push(notSupported("target.kind", target.kind, ["Node", "<empty>"]));
  if (!target.name) errors.push(required("target.name"));
  if (errors.length > 0) {
    const texts = errors.map(errorText);
    throw new StatusError(500, "", texts.length === 1 ? (texts[0] as string) : `[${texts.join(", ")}]`);
  }
  const attributes = attributesOf({ ...call, name: podName }, "CREATE", binding, undefined, options, "CreateOptions");
  await api.admission.admit(attributes);
  await api.admission.validate(attributes);
  await api.storage.update(
    { ...PODS, namespace: call.namespace, name: podName },
    (pod) => {
      if (!pod) throw statusErrors.notFound(PODS, podName);
      return assigned(api, pod, binding, target.name);
    },
    { dryRun: options.dryRun, errorResource: PODS },
  );
  return valueResponse(201, success(201), call.output);
}

function assigned(api: Api, pod: KubeObject, binding: KubeObject, node: string): KubeObject {
  const name = pod.metadata.name ?? "";
  const refuse = (why: string) => statusErrors.conflict(BINDING, name, why);
  if (binding.metadata.uid && binding.metadata.uid !== pod.metadata.uid) {
    throw refuse(`Precondition failed: UID in precondition: ${binding.metadata.uid}, UID in object meta: ${pod.metadata.uid}`);
  }
  if (pod.metadata.deletionTimestamp) throw refuse(`pod ${name} is being deleted, cannot be assigned to a host`);
  if (pod["spec"]?.nodeName) throw refuse(`pod ${name} is already assigned to node ${JSON.stringify(pod["spec"].nodeName)}`);
  if (pod["spec"]?.schedulingGates?.length) throw refuse(`pod ${name} has non-empty .spec.schedulingGates`);
  pod["spec"].nodeName = node;
  for (const [k, v] of Object.entries(binding.metadata.annotations ?? {}))
    pod.metadata.annotations = { ...pod.metadata.annotations, [k]: v as string };
  for (const [k, v] of Object.entries(binding.metadata.labels ?? {})) {
    if (k.startsWith("topology.kubernetes.io/")) pod.metadata.labels = { ...pod.metadata.labels, [k]: v as string };
  }
  const status = (pod["status"] ??= {});
  const others = (status.conditions ?? []).filter((c: any) => c.type !== "PodScheduled");
  const now = timeText(api.clock.nowMs());
  status.conditions = [...others, { type: "PodScheduled", status: "True", lastProbeTime: null, lastTransitionTime: now }];
  return pod;
}
