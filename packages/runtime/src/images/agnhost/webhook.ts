// agnhost webhook: an HTTPS server of admission.k8s.io/v1 and v1beta1 AdmissionReviews (KEP-492), one path a judgement. Kubernetes'
// own admission tests deploy it; every body and log line is compared with recordings (test/vectors/agnhost).
// Invariant: a review is answered under the version that it came in, with the uid that it came with.
import { JsonSyntaxError } from "@podwire/api";
import type { Process } from "../../kernel/process.ts";
import { checkArgs, GoPanic, goJson, klogLine, parseFlags, parseGoJson } from "./go.ts";
import { type GoRequest, type GoResponse, type Handler, serve, serveMux } from "./http-server.ts";
import { TLS_FLAGS, tlsPair } from "./tls-flags.ts";

interface Gvr {
  group?: string;
  version?: string;
  resource?: string;
}

interface ReviewRequest {
  uid?: string;
  resource?: Gvr;
  subResource?: string;
  name?: string;
  operation?: string;
  object?: ReviewedObject | null;
  oldObject?: ReviewedObject | null;
}

interface ReviewedObject {
  metadata?: { name?: string; labels?: { [k: string]: string } };
  spec?: { containers?: { name?: string }[]; initContainers?: { name?: string }[] };
  data?: { [k: string]: string };
  stdin?: boolean;
  container?: string;
}

interface Verdict {
  allowed: boolean;
  result?: { status?: string; message?: string; reason?: string; code?: number };
  patch?: string;
}

/** What a path answers; undefined is Go's nil, which its server does not survive. */
type Judge = (log: Log, r: ReviewRequest) => Verdict | undefined | Promise<Verdict>;

/** klog: V(2) lines and errors, by source line. */
interface Log {
  info(where: string, text: string): void;
  error(where: string, text: string): void;
  sleep(ms: number): Promise<unknown>;
}

const ALLOWED: Verdict = { allowed: true };
const denied = (message: string): Verdict => ({ allowed: false, result: { message } });
const refused = (reason: string): Verdict => ({ allowed: false, result: { reason } });

const MARK = "webhook-e2e-test";
const PODS: Gvr = { group: "", version: "v1", resource: "pods" };
const CONFIG_MAPS: Gvr = { group: "", version: "v1", resource: "configmaps" };
const CRDS: Gvr[] = ["v1beta1", "v1"].map((version) => ({
  group: "apiextensions.k8s.io",
  version,
  resource: "customresourcedefinitions",
}));

/** fmt's %v of a GroupVersionResource. */
const gvrText = (g: Gvr | undefined) => `{${g?.group ?? ""} ${g?.version ?? ""} ${g?.resource ?? ""}}`;
const isGvr = (a: Gvr | undefined, b: Gvr) => gvrText(a) === gvrText(b);
/** The patches' spaces are part of the recorded bytes. */
const jsonPatch = (op: string, path: string, value: string) =>
  `[\n         { "op": "${op}", "path": "${path}", "value": ${value}${value.endsWith("}") ? "" : " "}}\n     ]`;

const ALWAYS_ALLOW_DELAY_MS = 5_000;

async function alwaysAllowDelay(log: Log): Promise<Verdict> {
  log.info("alwaysallow.go:29", "always-allow-with-delay sleeping for 5 seconds");
  await log.sleep(ALWAYS_ALLOW_DELAY_MS);
  log.info("alwaysallow.go:31", "calling always-allow");
  return { allowed: true, result: { message: "this webhook allows all requests" } };
}

function alwaysDeny(log: Log): Verdict {
  log.info("alwaysdeny.go:27", "calling always-deny");
  return denied("this webhook denies all requests");
}

function addLabel(log: Log, r: ReviewRequest): Verdict {
  log.info("addlabel.go:41", "calling add-label");
  const labels = r.object?.metadata?.labels ?? {};
  if (Object.keys(labels).length === 0) return { allowed: true, patch: jsonPatch("add", "/metadata/labels", '{"added-label": "yes"}') };
  if (labels["added-label"] === "yes") return ALLOWED;
  const op = labels["added-label"] === undefined ? "add" : "replace";
  return { allowed: true, patch: jsonPatch(op, "/metadata/labels/added-label", '"yes"') };
}

async function admitPods(log: Log, r: ReviewRequest): Promise<Verdict> {
  log.info("pods.go:40", "admitting pods");
  if (!isGvr(r.resource, PODS)) {
    const why = `expect resource to be ${gvrText(PODS)}`;
    log.error("pods.go:44", why);
    return denied(why);
  }
  const label = r.object?.metadata?.labels?.[MARK];
  if (label === "wait-forever") await log.sleep(Number.POSITIVE_INFINITY);
  const unwanted = label === "webhook-disallow" ? ["the pod contains unwanted label;"] : [];
  for (const c of r.object?.spec?.containers ?? [])
    if (c.name?.includes("webhook-disallow")) unwanted.push("the pod contains unwanted container name;");
  return unwanted.length === 0 ? ALLOWED : denied(unwanted.join(" "));
}

function patchPods(log: Log, r: ReviewRequest, wanted: (pod: ReviewedObject) => boolean, patch: string): Verdict | undefined {
  log.info("pods.go:119", "mutating pods");
  if (!isGvr(r.resource, PODS)) {
    log.error("pods.go:122", `expect resource to be ${gvrText(PODS)}`);
    return undefined;
  }
  return wanted(r.object ?? {}) ? { allowed: true, patch } : ALLOWED;
}

const lacks = (containers: { name?: string }[] | undefined, name: string) => !(containers ?? []).some((c) => c.name === name);

function mutatePods(log: Log, r: ReviewRequest): Verdict | undefined {
  const added = "webhook-added-init-container";
  const patch = `[\n\t\t {"op":"add","path":"/spec/initContainers","value":[{"image":"webhook-added-image","name":"${added}","resources":{}}]}\n\t]`;
  return patchPods(log, r, (pod) => pod.metadata?.name === "webhook-to-be-mutated" && lacks(pod.spec?.initContainers, added), patch);
}

function mutatePodsSidecar(image: string): Judge {
  if (image === "")
    return () => ({
      allowed: false,
      result: { status: "Failure", message: "No image specified by the sidecar-image parameter", code: 500 },
    });
  const added = "webhook-added-sidecar";
  const patch = `[\n\t\t{"op":"add", "path":"/spec/containers/-","value":{"image":"${image}","name":"${added}","resources":{}}}\n\t]`;
  return (log, r) => patchPods(log, r, (pod) => lacks(pod.spec?.containers, added), patch);
}

function attachPods(log: Log, r: ReviewRequest): Verdict {
  log.info("pods.go:146", "handling attaching pods");
  if (r.name !== "to-be-attached-pod") return ALLOWED;
  const wrong = (line: number, why: string) => {
    log.error(`pods.go:${line}`, why);
    return denied(why);
  };
  if (!isGvr(r.resource, PODS)) return wrong(153, `expect resource to be ${gvrText(PODS)}, got ${gvrText(r.resource)}`);
  if (r.subResource !== "attach") return wrong(158, `expect subresource to be attach, got ${r.subResource ?? ""}`);
  return r.object?.stdin && r.object.container === "container1" ? denied("attaching to pod 'to-be-attached-pod' is not allowed") : ALLOWED;
}

/** The rule that config maps and custom resources share: a marked value may not be written, another not deleted. */
function admitData(r: ReviewRequest, unwanted: string, undeletable: string): Verdict {
  const mark = (r.operation === "DELETE" ? r.oldObject : r.object)?.data?.[MARK];
  if (mark === "webhook-disallow" && (r.operation === "CREATE" || r.operation === "UPDATE")) return refused(unwanted);
  if (mark === "webhook-nondeletable" && r.operation === "DELETE") return refused(undeletable);
  return ALLOWED;
}

function mutateData(r: ReviewRequest): Verdict {
  const data = r.object?.data ?? {};
  const stage = data["mutation-stage-1"] === "yes" ? 2 : data["mutation-start"] === "yes" ? 1 : 0;
  return stage === 0 ? ALLOWED : { allowed: true, patch: jsonPatch("add", `/data/mutation-stage-${stage}`, '"yes"') };
}

function onlyConfigMaps(log: Log, r: ReviewRequest, line: number, then: () => Verdict): Verdict | undefined {
  if (isGvr(r.resource, CONFIG_MAPS)) return then();
  log.error(`configmap.go:${line}`, `expect resource to be ${gvrText(CONFIG_MAPS)}`);
  return undefined;
}

function admitConfigMaps(log: Log, r: ReviewRequest): Verdict | undefined {
  log.info("configmap.go:37", "admitting configmaps");
  return onlyConfigMaps(log, r, 40, () =>
    admitData(
      r,
      "the configmap contains unwanted key and value",
      "the configmap cannot be deleted because it contains unwanted key and value",
    ),
  );
}

function mutateConfigMaps(log: Log, r: ReviewRequest): Verdict | undefined {
  log.info("configmap.go:77", "mutating configmaps");
  return onlyConfigMaps(log, r, 80, () => mutateData(r));
}

function admitCustomResource(log: Log, r: ReviewRequest): Verdict {
  log.info("customresource.go:67", "admitting custom resource");
  return admitData(
    r,
    "the custom resource contains unwanted data",
    "the custom resource cannot be deleted because it contains unwanted key and value",
  );
}

function mutateCustomResource(log: Log, r: ReviewRequest): Verdict {
  log.info("customresource.go:37", "mutating custom resource");
  return mutateData(r);
}

function admitCrd(log: Log, r: ReviewRequest): Verdict {
  log.info("crd.go:31", "admitting crd");
  if (!CRDS.some((g) => isGvr(r.resource, g))) {
    const why = `expect resource to be one of [${CRDS.map(gvrText).join(", ")}] but got ${gvrText(r.resource)}`;
    log.error("crd.go:62", why);
    return denied(why);
  }
  return r.object?.metadata?.labels?.[MARK] === "webhook-disallow" ? denied("the crd contains unwanted label") : ALLOWED;
}

/** The String method of the generated type, as the log shows a response. */
function responseText(uid: string, v: Verdict): string {
  const s = v.result;
  const result = s
    ? `&v1.Status{ListMeta:ListMeta{SelfLink:,ResourceVersion:,Continue:,RemainingItemCount:nil,},Status:${s.status ?? ""},Message:${s.message ?? ""},Reason:${s.reason ?? ""},Details:nil,Code:${s.code ?? 0},}`
    : "nil";
  const patch = v.patch === undefined ? "nil" : `*[${[...Buffer.from(v.patch)].join(" ")}]`;
  const type = v.patch === undefined ? "nil" : "*JSONPatch";
  return `&AdmissionReview{Request:nil,Response:&AdmissionResponse{UID:${uid},Allowed:${v.allowed},Result:${result},Patch:${patch},PatchType:${type},AuditAnnotations:map[string]string{},Warnings:[],},}`;
}

/** apimachinery's universal deserializer, as far as a bad body goes. A string is its complaint. */
function decodeReview(body: Buffer): { apiVersion: string; request: ReviewRequest } | string {
  if (body.length === 0) return "Object 'Kind' is missing in ''";
  let value: { kind?: unknown; apiVersion?: unknown; request?: ReviewRequest };
  try {
    value = parseGoJson(body) as typeof value;
  } catch (e) {
    if (!(e instanceof JsonSyntaxError)) throw e;
    return `couldn't get version/kind; json parse error: ${e.message}`;
  }
  if (typeof value?.kind !== "string" || value.kind === "") return `Object 'Kind' is missing in '${body.toString("utf8")}'`;
  const apiVersion = String(value.apiVersion ?? "");
  if (value.kind !== "AdmissionReview" || !/^admission\.k8s\.io\/v1(beta1)?$/.test(apiVersion))
    return `no kind "${value.kind}" is registered for version "${apiVersion}" in scheme "pkg/runtime/scheme.go:110"`;
  return { apiVersion, request: value.request ?? {} };
}

function reviewing(p: Process, judge: Judge, verbosity: number): Handler {
  const log: Log = {
    info: (where, text) => {
      if (verbosity >= 2) void p.printError(klogLine(p, "I", where, text));
    },
    error: (where, text) => void p.printError(klogLine(p, "E", where, text)),
    sleep: (ms) => (ms === Number.POSITIVE_INFINITY ? p.block(() => () => undefined) : p.sleep(ms)),
  };
  return async (w: GoResponse, r: GoRequest) => {
    const type = r.message.headers["content-type"] ?? "";
    if (type !== "application/json") return log.error("main.go:104", `contentType=${type}, expect application/json`);
    log.info("main.go:108", `handling request: ${r.body.toString("utf8")}`);
    const review = decodeReview(r.body);
    if (typeof review === "string") {
      log.error("main.go:114", `Request could not be decoded: ${review}`);
      return w.error(`Request could not be decoded: ${review}`, 400);
    }
    const verdict = await judge(log, review.request);
    if (verdict === undefined) throw new GoPanic("runtime error: invalid memory address or nil pointer dereference");
    const uid = review.request.uid ?? "";
    log.info("main.go:150", `sending response: ${responseText(uid, verdict)}`);
    w.setHeader("content-type", "application/json");
    w.write(goJson(responseObject(review.apiVersion, uid, verdict)));
  };
}

function responseObject(apiVersion: string, uid: string, v: Verdict) {
  const patch = v.patch === undefined ? {} : { patch: Buffer.from(v.patch).toString("base64"), patchType: "JSONPatch" };
  const { status, message, reason, code } = v.result ?? {};
  const result = v.result === undefined ? {} : { status: { metadata: {}, status, message, reason, code } };
  return { kind: "AdmissionReview", apiVersion, response: { uid, allowed: v.allowed, ...result, ...patch } };
}

export async function webhook(p: Process, argv: readonly string[]): Promise<number> {
  const { flags, args } = parseFlags(argv, { ...TLS_FLAGS, "sidecar-image": { kind: "string", default: "" } });
  checkArgs(args, 0, 0);
  const tls = await tlsPair(p, flags);
  const judges: { [path: string]: Judge } = {
    "/always-allow-delay-5s": alwaysAllowDelay,
    "/always-deny": alwaysDeny,
    "/add-label": addLabel,
    "/pods": admitPods,
    "/pods/attach": attachPods,
    "/mutating-pods": mutatePods,
    "/mutating-pods-sidecar": mutatePodsSidecar(flags["sidecar-image"] as string),
    "/configmaps": admitConfigMaps,
    "/mutating-configmaps": mutateConfigMaps,
    "/custom-resource": admitCustomResource,
    "/mutating-custom-resource": mutateCustomResource,
    "/crd": admitCrd,
  };
  const routes: { [path: string]: Handler } = { "/readyz": (w) => w.write("ok") };
  for (const [path, judge] of Object.entries(judges)) routes[path] = reviewing(p, judge, flags["v"] as number);
  serve(p, flags["port"] as number, serveMux(routes), tls);
  await p.block(() => () => undefined);
  return 0;
}
