// Values of flags that are lists with a vocabulary of their own: what is known and does nothing here is refused by name, what is unknown is
// refused as kube-apiserver refuses it. Pure.
import { z } from "@podwire/base";

type Checked<T> = { value: T } | { problem: string };

function checked<T>(parse: (text: string) => Checked<T>) {
  return z.string().transform((s, ctx): T => {
    const r = parse(s);
    if ("value" in r) return r.value;
    ctx.addIssue({ code: "custom", message: r.problem });
    return z.NEVER;
  });
}

const list = (s: string): string[] =>
  s
    .split(",")
    .map((x) => x.trim())
    .filter((x) => x !== "");

/** "a=true,b=false" as pairs; a name alone is true. */
function pairs(s: string): Checked<Map<string, boolean>> {
  const value = new Map<string, boolean>();
  for (const item of list(s)) {
    const [name = "", text = "true"] = item.split("=");
    if (!/^(1|t|T|true|TRUE|True|0|f|F|false|FALSE|False)$/.test(text))
      return { problem: `invalid value of ${name}=${text}, err: strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax` };
    value.set(name, /^[1tT]/.test(text));
  }
  return { value };
}

export type AuthorizationMode = "Node" | "RBAC" | "AlwaysAllow" | "AlwaysDeny";
const MODES = ["AlwaysAllow", "AlwaysDeny", "Node", "RBAC"];

export const authorizationModes = checked((s): Checked<AuthorizationMode[]> => {
  const modes = list(s);
  if (modes.length === 0) return { problem: "at least one authorization-mode must be passed" };
  for (const [i, m] of modes.entries()) {
    if (m === "ABAC" || m === "Webhook")
      return { problem: `the authorization mode ${JSON.stringify(m)} is not supported (${MODES.join(", ")} are)` };
    if (!MODES.includes(m)) return { problem: `authorization-mode ${JSON.stringify(m)} is not a valid mode` };
    if (modes.indexOf(m) < i) return { problem: `authorization-mode ${JSON.stringify(modes)} has mode specified more than once` };
  }
  return { value: modes as AuthorizationMode[] };
});

/** Who signs service account tokens, and who did: none empty, none twice, those with a colon are URLs. */
export const issuers = checked((s): Checked<[string, ...string[]]> => {
  const [first, ...others] = s.split(",");
  const all: [string, ...string[]] = [first ?? "", ...others];
  for (const [i, issuer] of all.entries()) {
    if (issuer === "") return { problem: "service-account-issuer requires a non-empty value" };
    if (all.indexOf(issuer) < i) return { problem: `service-account-issuer ${JSON.stringify(issuer)} is already specified` };
    if (issuer.includes(":") && !URL.canParse(issuer))
      return { problem: `service-account-issuer ${JSON.stringify(issuer)} contained a ':' but was not a valid URL` };
  }
  return { value: all };
});

/** Plugins that run unless they are disabled, in Kubernetes' names. */
export const DEFAULT_PLUGINS = [
  "NamespaceLifecycle",
  "LimitRanger",
  "ServiceAccount",
  "TaintNodesByCondition",
  "PodSecurity",
  "Priority",
  "DefaultTolerationSeconds",
  "DefaultStorageClass",
  "StorageObjectInUseProtection",
  "PersistentVolumeClaimResize",
  "RuntimeClass",
  "CertificateApproval",
  "CertificateSigning",
  "ClusterTrustBundleAttest",
  "CertificateSubjectRestriction",
  "DefaultIngressClass",
  "PodTopologyLabels",
  "MutatingAdmissionPolicy",
  "MutatingAdmissionWebhook",
  "ValidatingAdmissionPolicy",
  "ValidatingAdmissionWebhook",
  "ResourceQuota",
  "NodeRestriction",
] as const;
/** Plugins that run when they are enabled. */
export const OPTIONAL_PLUGINS = [
  "AlwaysAdmit",
  "AlwaysDeny",
  "AlwaysPullImages",
  "DenyServiceExternalIPs",
  "ExtendedResourceToleration",
  "LimitPodHardAntiAffinityTopology",
  "NamespaceAutoProvision",
  "NamespaceExists",
  "OwnerReferencesPermissionEnforcement",
] as const;
const ABSENT_PLUGINS = ["EventRateLimit", "ImagePolicyWebhook", "PodNodeSelector", "PodTolerationRestriction"];

export const pluginNames = checked((s): Checked<string[]> => {
  const names = list(s);
  for (const n of names) {
    if (ABSENT_PLUGINS.includes(n)) return { problem: `the admission plugin ${JSON.stringify(n)} is not supported` };
    if (!(DEFAULT_PLUGINS as readonly string[]).includes(n) && !(OPTIONAL_PLUGINS as readonly string[]).includes(n))
      return { problem: `plugin ${JSON.stringify(n)} is unknown` };
  }
  return { value: names };
});

/** Gates that change something here. Others of Kubernetes have their default and no switch. */
const GATES: readonly string[] = ["MutatingAdmissionPolicy"];

export const featureGates = checked((s): Checked<ReadonlySet<string>> => {
  const given = pairs(s);
  if ("problem" in given) return given;
  for (const name of given.value.keys())
    if (!GATES.includes(name)) return { problem: `the feature gate ${JSON.stringify(name)} has no switch here (${GATES.join(", ")} has)` };
  return { value: new Set([...given.value].filter(([, on]) => on).map(([name]) => name)) };
});

/** --runtime-config: API versions by "group/version" (or "v1", "api/all", "api/beta", "api/alpha"), on or off. */
export const runtimeConfig = checked((s): Checked<ReadonlyMap<string, boolean>> => {
  const given = pairs(s);
  if ("problem" in given) return given;
  for (const name of given.value.keys()) {
    if (name.split("/").length > 2) return { problem: `resources cannot be switched one by one: ${name}` };
    if (name.startsWith("api/") && !["api/all", "api/ga", "api/beta", "api/alpha"].includes(name))
      return { problem: `unknown api groups ${name}` };
  }
  return given;
});
