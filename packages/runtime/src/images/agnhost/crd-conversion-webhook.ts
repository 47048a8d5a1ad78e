// agnhost crd-conversion-webhook: an HTTPS server of apiextensions.k8s.io/v1 and v1beta1 ConversionReviews that turns CronTabs of
// stable.example.com between v1 (hostPort) and v2 (host and port). Compared with recordings (test/vectors/agnhost).
// Invariant: one object that cannot be converted fails the whole review; the answer's request is empty.
import { JsonSyntaxError, parseYaml, YamlSyntaxError } from "@podwire/api";
import { stringify } from "yaml";
import type { Process } from "../../kernel/process.ts";
import { inClusterConfig } from "./cluster-clients.ts";
import { checkArgs, goJson, klogLine, parseFlags, parseGoJson, quote } from "./go.ts";
import { type GoRequest, type GoResponse, serve, serveMux } from "./http-server.ts";
import { klogFatal, TLS_FLAGS, tlsPair } from "./tls-flags.ts";

interface CustomObject {
  apiVersion?: string;
  [field: string]: unknown;
}

interface ConversionRequest {
  uid?: string;
  desiredAPIVersion?: string;
  objects?: CustomObject[] | null;
}

const V1 = "stable.example.com/v1";
const V2 = "stable.example.com/v2";

/** The converted object, or why not. Pure. */
export function convertCronTab(o: CustomObject, to: string): CustomObject | string {
  const from = o.apiVersion ?? "";
  if (to === from) return `conversion from a version to itself should not call the webhook: ${to}`;
  if (from !== V1 && from !== V2) return `unexpected conversion version ${quote(from)}`;
  if (to !== (from === V1 ? V2 : V1)) return `unexpected conversion version ${quote(to)}`;
  const { hostPort, host, port, ...rest } = o;
  if (from === V1) {
    if (hostPort === undefined) return { ...rest, apiVersion: to };
    const parts = String(hostPort).split(":");
    if (parts.length !== 2) return `invalid hostPort value \`${String(hostPort)}\``;
    return { ...rest, apiVersion: to, host: parts[0], port: parts[1] };
  }
  if (host === undefined && port === undefined) return { ...rest, apiVersion: to };
  return { ...rest, apiVersion: to, hostPort: `${host ?? ""}:${port ?? ""}` };
}

type Format = "json" | "yaml";

/** goautoneg over the two serializers. */
function outputFormat(accept: string): Format | undefined {
  if (accept === "") return "json";
  for (const clause of accept.split(",").map((c) => (c.split(";")[0] ?? "").trim())) {
    if (clause === "application/yaml") return "yaml";
    if (clause === "application/json" || clause === "application/*" || clause === "*/*") return "json";
  }
  return undefined;
}

const INPUT: { [type: string]: Format } = { "application/json": "json", "application/yaml": "yaml" };

/** The review, or the deserializer's complaint. */
function decode(body: Buffer, format: Format): { apiVersion: string; request: ConversionRequest } | string {
  let value: { kind?: string; apiVersion?: string; request?: ConversionRequest } | null;
  try {
    value = (format === "yaml" ? parseYaml(body).value : parseGoJson(body)) as typeof value;
  } catch (e) {
    if (!(e instanceof JsonSyntaxError || e instanceof YamlSyntaxError)) throw e;
    return `couldn't get version/kind; json parse error: ${e.message}`;
  }
  const { kind = "", apiVersion = "", request = {} } = value ?? {};
  if (kind === "") return `Object 'Kind' is missing in '${body.toString("utf8")}'`;
  if (kind !== "ConversionReview" || !/^apiextensions\.k8s\.io\/v1(beta1)?$/.test(apiVersion))
    return `no kind "${kind}" is registered for version "${apiVersion}" in scheme "pkg/runtime/scheme.go:110"`;
  return { apiVersion, request };
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => [k, sorted(v)]),
  );
}

interface Log {
  info(where: string, text: string): void;
  error(where: string, text: string): void;
}

function convertAll(log: Log, r: ConversionRequest): { convertedObjects: unknown[] | null; result: object } {
  const out: unknown[] = [];
  for (const o of r.objects ?? []) {
    log.info("example_converter.go:30", "converting crd");
    const converted = convertCronTab(o, r.desiredAPIVersion ?? "");
    if (typeof converted !== "string") {
      out.push(sorted(converted));
      continue;
    }
    log.error(
      "framework.go:104",
      `&Status{ListMeta:ListMeta{SelfLink:,ResourceVersion:,Continue:,RemainingItemCount:nil,},Status:Failure,Message:${converted},Reason:,Details:nil,Code:0,}`,
    );
    return { convertedObjects: null, result: { metadata: {}, status: "Failure", message: converted } };
  }
  return { convertedObjects: out.length === 0 ? null : out, result: { metadata: {}, status: "Success" } };
}

function respond(log: Log, w: GoResponse, r: GoRequest): undefined {
  const type = r.message.headers["content-type"] ?? "";
  const input = INPUT[type];
  const refuse = (why: string): undefined => {
    log.error("framework.go:130", why);
    w.error(why, 400);
  };
  if (input === undefined) return refuse(`invalid Content-Type header \`${type}\``);
  const text = r.body.toString("utf8");
  log.info("framework.go:135", `handling request: ${text}`);
  const review = decode(r.body, input);
  if (typeof review === "string") {
    log.error("framework.go:139", review);
    w.error(`failed to deserialize body (${text}) with error ${review}`, 400);
    return;
  }
  const response = { uid: review.request.uid ?? "", ...convertAll(log, review.request) };
  const accept = r.message.headers.accept ?? "";
  const output = outputFormat(accept);
  if (output === undefined) return refuse(`invalid accept header \`${accept}\``);
  const answer = {
    kind: "ConversionReview",
    apiVersion: review.apiVersion,
    request: { uid: "", desiredAPIVersion: "", objects: null },
    response,
  };
  const body = output === "yaml" ? stringify(sorted(answer), { indentSeq: false, lineWidth: 0 }) : `${goJson(answer)}\n`;
  log.info("framework.go:196", `sending response: ${body.replace(/\n$/, "")}`);
  w.write(body);
}

export async function crdConversionWebhook(p: Process, argv: readonly string[]): Promise<number> {
  const { flags, args } = parseFlags(argv, TLS_FLAGS);
  checkArgs(args, 0, 0);
  // Made, and never used.
  const config = inClusterConfig(p);
  if (typeof config === "string") await klogFatal(p, "config.go:31", config);
  const tls = await tlsPair(p, flags, "config.go:48");
  const log: Log = {
    info: (where, line) => {
      if ((flags["v"] as number) >= 2) void p.printError(klogLine(p, "I", where, line));
    },
    error: (where, line) => void p.printError(klogLine(p, "E", where, line)),
  };
  const routes = {
    "/crdconvert": (w: GoResponse, r: GoRequest) => respond(log, w, r),
    "/readyz": (w: GoResponse) => w.write("ok"),
  };
  serve(p, flags["port"] as number, serveMux(routes), tls);
  await p.block(() => () => undefined);
  return 0;
}
