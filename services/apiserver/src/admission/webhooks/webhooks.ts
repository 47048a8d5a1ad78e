// MutatingAdmissionWebhook and ValidatingAdmissionWebhook: the cluster's own admission code, called with AdmissionReview v1
// (apiserver/pkg/admission/plugin/webhook). Mutating hooks run one after the other by configuration name, validating ones at once.
import { applyJsonPatch, type KubeObject, StatusError, statusErrors } from "@podwire/api";
import { reasonOf } from "@podwire/base";
import type { Api } from "../../call.ts";
import { admissionRequest } from "../cel-input.ts";
import type { AdmissionPlugin, Attributes } from "../chain.ts";
import { applyDefaultsOf } from "../defaulted.ts";
import { Forms, type Matched, matchedBy } from "../equivalents.ts";
import { namespaceMatches, objectMatches, type Rule } from "../matching.ts";
import { type ClientConfig, callWebhook, WebhookCallError } from "./caller.ts";
import { matchConditionsHold } from "./match-conditions.ts";

interface Hook {
  name: string;
  clientConfig: ClientConfig;
  rules?: Rule[];
  matchPolicy?: string;
  failurePolicy?: string;
  sideEffects?: string;
  timeoutSeconds?: number;
  admissionReviewVersions: string[];
  namespaceSelector?: object;
  objectSelector?: object;
  matchConditions?: { name: string; expression: string }[];
  reinvocationPolicy?: string;
}

const GROUP = "admissionregistration.k8s.io";
const DEFAULT_TIMEOUT_S = 10;
/** Objects that admission hooks never see, or nobody could repair a broken hook. */
const EXEMPT = new Set([
  "mutatingwebhookconfigurations",
  "validatingwebhookconfigurations",
  "validatingadmissionpolicies",
  "validatingadmissionpolicybindings",
  "mutatingadmissionpolicies",
  "mutatingadmissionpolicybindings",
]);

export function mutatingWebhooks(api: Api): AdmissionPlugin {
  return {
    name: "MutatingAdmissionWebhook",
    operations: ["CREATE", "UPDATE", "DELETE", "CONNECT"],
    async admit(a) {
      const turn = a.reinvocation?.of("MutatingAdmissionWebhook");
      turn?.begin(a.object);
      const forms = new Forms(api, a);
      for (const [id, h] of hooksFor(api, a, "mutatingwebhookconfigurations")) {
        if (turn && !turn.runs(id)) continue;
        const matched = matchedRule(api, a, h);
        if (!matched) continue;
        const form = await formFor(forms, matched, h);
        if (!matchConditionsHold(api, form, h)) continue;
        const next = await mutate(api, form, h);
        const changed = next !== undefined;
        if (changed) await forms.take(matched, next);
        turn?.ran(id, changed, h.reinvocationPolicy === "IfNeeded");
      }
      turn?.end(a.object);
    },
  };
}

export function validatingWebhooks(api: Api): AdmissionPlugin {
  return {
    name: "ValidatingAdmissionWebhook",
    operations: ["CREATE", "UPDATE", "DELETE", "CONNECT"],
    async validate(a) {
      const forms = new Forms(api, a);
      const hooks: { h: Hook; form: Attributes }[] = [];
      for (const [, h] of hooksFor(api, a, "validatingwebhookconfigurations")) {
        const matched = matchedRule(api, a, h);
        if (!matched) continue;
        const form = await formFor(forms, matched, h);
        if (matchConditionsHold(api, form, h)) hooks.push({ h, form });
      }
      if (hooks.length === 0) return;
      const results = await Promise.allSettled(hooks.map(({ h, form }) => review(api, form, h)));
      for (const r of results) if (r.status === "rejected") throw r.reason;
    },
  };
}

/** Every hook of every configuration, by a name of its own. */
function hooksFor(api: Api, a: Attributes, resource: string): [string, Hook][] {
  const configurations = api.cache.of(GROUP, resource);
  if (configurations.size === 0 || (a.info.group === GROUP && EXEMPT.has(a.info.resource))) return [];
  const hooks: [string, Hook][] = [];
  for (const c of configurations.values())
    for (const [i, h] of ((c.object["webhooks"] ?? []) as Hook[]).entries()) hooks.push([`${c.key.name}/${h.name}/${i}`, h]);
  return hooks;
}

function matchedRule(api: Api, a: Attributes, h: Hook): Matched | undefined {
  if (!namespaceMatches(api.cache, h.namespaceSelector, a) || !objectMatches(h.objectSelector, a)) return undefined;
  return matchedBy(api, h.rules ?? [], h.matchPolicy, a);
}

async function formFor(forms: Forms, matched: Matched, h: Hook): Promise<Attributes> {
  try {
    return await forms.in(matched);
  } catch (e) {
    throw failed(h, reasonOf(e));
  }
}

/** Calls a hook and applies its patch; the object in the hook's form when it changed. */
async function mutate(api: Api, a: Attributes, h: Hook): Promise<KubeObject | undefined> {
  const answer = await review(api, a, h);
  if (!answer?.patch || !a.object) return undefined;
  if (answer.patchType !== undefined && answer.patchType !== "JSONPatch")
    throw failed(h, `invalid response.patchType: ${answer.patchType}`);
  const before = JSON.stringify(a.object);
  let next: KubeObject;
  try {
    const patch = JSON.parse(Buffer.from(answer.patch, "base64").toString("utf8"));
    next = applyJsonPatch(JSON.parse(before), patch) as KubeObject;
    applyDefaultsOf(api, a, next);
  } catch (e) {
    throw failed(h, `couldn't apply the patch: ${reasonOf(e)}`);
  }
  return JSON.stringify(next) === before ? undefined : next;
}

/** The hook's answer when it allowed; undefined when the call failed and failures are ignored. Throws the refusal. */
async function review(api: Api, a: Attributes, h: Hook): Promise<{ patch?: string; patchType?: string } | undefined> {
  if (a.dryRun && h.sideEffects !== "None" && h.sideEffects !== "NoneOnDryRun")
    throw statusErrors.badRequest(`admission webhook ${JSON.stringify(h.name)} does not support dry run`);
  const uid = api.random.uuid();
  let response: any;
  try {
    if (!h.admissionReviewVersions.includes("v1"))
      throw new WebhookCallError("webhook does not accept known AdmissionReview versions (v1)");
    const answer = await callWebhook(
      api,
      h.clientConfig,
      { kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1", request: admissionRequest(a, uid) },
      h.timeoutSeconds ?? DEFAULT_TIMEOUT_S,
    );
    response = answer?.response;
    if (!response) throw new WebhookCallError("webhook response was absent");
    if (response.uid !== uid)
      throw new WebhookCallError(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? "")}`);
  } catch (e) {
    if (e instanceof StatusError && h.failurePolicy !== "Ignore") throw failed(h, `failed to call webhook: ${e.message}`);
    if (h.failurePolicy === "Ignore") {
      api.log.warn({ webhook: h.name, reason: reasonOf(e) }, "a webhook failed; its failure policy says to go on");
      return undefined;
    }
    if (e instanceof WebhookCallError) throw failed(h, e.message);
    throw e;
  }
  for (const w of response.warnings ?? []) a.warnings.push(String(w));
  if (response.allowed === true) return response;
  throw denied(h, response.status);
}

function failed(h: Hook, why: string): StatusError {
  return statusErrors.internal(`failed calling webhook ${JSON.stringify(h.name)}: ${why}`);
}

function denied(h: Hook, status: { message?: string; reason?: string; code?: number; details?: object } | undefined): StatusError {
  const start = `admission webhook ${JSON.stringify(h.name)} denied the request`;
  const why = status?.message
    ? `${start}: ${status.message}`
    : status?.reason
      ? `${start}: ${status.reason}`
      : `${start} without explanation`;
  const code = status?.code && status.code >= 400 && status.code < 600 ? status.code : 403;
  return new StatusError(code, status?.reason ?? (code === 403 ? "Forbidden" : ""), why, status?.details as never);
}
