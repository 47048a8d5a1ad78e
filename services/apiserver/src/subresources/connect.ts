// CONNECT admission: exec, attach, port-forward and the proxies show their options to admission before anything is connected
// (apiserver/pkg/endpoints/handlers/rest.go ConnectResource). Invariant: what admission refuses reaches no pod, Service or node.
import type { KubeObject } from "@podwire/api";
import type { Api, Call } from "../call.ts";
import { boolean } from "../request/options.ts";
import { attributesOf } from "../verbs/create.ts";

/** Throws admission's refusal. `rest` is what follows a proxy in the path. */
export async function admitConnect(api: Api, call: Call, rest: readonly string[] = []): Promise<void> {
  const sub = call.served.info.subresources.find((s) => s.name === call.subresource);
  const object = { kind: sub?.kind ?? "", apiVersion: "v1", ...optionsOf(call, rest) } as unknown as KubeObject;
  const a = { ...attributesOf(call, "CONNECT", object, undefined, { dryRun: false }, ""), options: undefined };
  await api.admission.admit(a);
  await api.admission.validate(a);
}

/** A query as the options' type holds it: what is false or empty is left out. */
function optionsOf(call: Call, rest: readonly string[]): Record<string, unknown> {
  const q = call.info.query;
  if (call.subresource === "proxy") return rest.length > 0 ? { path: rest.join("/") } : {};
  if (call.subresource === "portforward") {
    const ports = q.getAll("ports").map(Number).filter(Number.isInteger);
    return ports.length > 0 ? { ports } : {};
  }
  const out: Record<string, unknown> = {};
  for (const name of ["stdin", "stdout", "stderr", "tty"]) if (boolean(q, name)) out[name] = true;
  const container = q.get("container");
  if (container) out["container"] = container;
  if (call.subresource === "exec") out["command"] = q.getAll("command");
  return out;
}
