// agnhost's programs that talk to the API server from inside a pod: inclusterclient polls /healthz with the mounted token;
// test-service-account-issuer-discovery checks a token as a relying party does (OIDC Discovery 1.0, RFC 7517 keys, RFC 7519 claims).
import { createHash, createPublicKey, verify } from "node:crypto";
import http from "node:http";
import type { Process } from "../../kernel/process.ts";
import { DialError } from "./dial.ts";
import { checkArgs, fatal, GoPanic, goJson, klogLine, log, parseFlags, sysText } from "./go.ts";

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
const TIMEOUT_MS = 10_000;

export interface InCluster {
  host: string;
  port: number;
  token: () => string;
  ca: string | undefined;
}

/** client-go's rest.InClusterConfig. A string is its complaint. */
export function inClusterConfig(p: Process): InCluster | string {
  const [host, port] = [p.env.get("KUBERNETES_SERVICE_HOST"), p.env.get("KUBERNETES_SERVICE_PORT")];
  if (!host || !port) return "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined";
  const token = `${SERVICE_ACCOUNT}/token`;
  if (!p.fs.exists(token)) return `open ${token}: no such file or directory`;
  const ca = `${SERVICE_ACCOUNT}/ca.crt`;
  if (!p.fs.exists(ca))
    void p.printError(
      klogLine(p, "E", "config.go:562", `Expected to load root CA config from ${ca}, but got err: open ${ca}: no such file or directory`),
    );
  return { host, port: Number(port), token: () => p.fs.readText(token).trim(), ca: p.fs.exists(ca) ? p.fs.readText(ca) : undefined };
}

/** One GET over TLS with the pod's credentials. Rejects with DialError. */
async function get(p: Process, url: URL, c: InCluster): Promise<{ status: number; body: string }> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const failed = (e: unknown) => new DialError(`Get "${url.href}": ${sysText(e)}`);
  try {
    const raw = await p.net.connect(p, { host, port: Number(url.port || 443), timeoutMs: TIMEOUT_MS });
    const socket = await p.net.secure(raw, { host, ...(c.ca === undefined ? {} : { ca: c.ca }) });
    return await new Promise((resolve, reject) => {
      const req = http.request({
        createConnection: () => socket,
        path: `${url.pathname}${url.search}`,
        headers: { host: url.host, authorization: `Bearer ${c.token()}`, accept: "application/json, */*", connection: "close" },
        setHost: false,
        timeout: TIMEOUT_MS,
      });
      req.on("error", reject);
      req.on("response", (res) => {
        let body = "";
        res.on("data", (d: Buffer) => {
          body += d.toString("utf8");
        });
        res.on("end", () => resolve({ status: res.statusCode ?? 0, body }));
      });
      req.end();
    });
  } catch (e) {
    throw failed(e);
  }
}

export async function inclusterclient(p: Process, argv: readonly string[]): Promise<number> {
  const { flags, args } = parseFlags(argv, { "poll-interval": { kind: "int", default: 30 } });
  checkArgs(args, 0, 0);
  const klog = (level: "I" | "E", line: number, text: string) => p.printError(klogLine(p, level, `main.go:${line}`, text));
  await klog("I", 61, "started");
  const config = inClusterConfig(p);
  if (typeof config === "string") return fatal(p, `err: ${config}`);
  for (;;) {
    await p.sleep((flags["poll-interval"] as number) * 1000);
    await klog("I", 79, "calling /healthz");
    const hash = createHash("sha256").update(`salt|Bearer ${config.token()}`).digest("base64url");
    await klog("I", 97, `authz_header=${hash}`);
    try {
      const a = await p.until(get(p, new URL(`https://${config.host}:${config.port}/healthz`), config));
      if (a.status !== 200) throw new DialError(`the server responded with the status code ${a.status}`);
    } catch (e) {
      p.check();
      await klog("E", 82, "status=failed");
      await klog("E", 83, `error checking /healthz: ${(e as Error).message}\n\n`);
    }
  }
}

interface Claims {
  iss?: string;
  aud?: string | string[];
  exp?: number;
  nbf?: number;
  sub?: string;
  [more: string]: unknown;
}

function decode<T>(part: string | undefined): T {
  return JSON.parse(Buffer.from(part ?? "", "base64url").toString("utf8")) as T;
}

const ALGORITHMS: { [alg: string]: string } = { RS256: "sha256", RS384: "sha384", RS512: "sha512", ES256: "sha256", ES384: "sha384" };

/** Throws DialError with what is wrong with the token. */
export function verifyToken(token: string, keys: { kid?: string; [more: string]: unknown }[], audience: string, nowMs: number): Claims {
  const [head, body, signature] = token.split(".");
  const { alg = "", kid } = decode<{ alg?: string; kid?: string }>(head);
  const digest = ALGORITHMS[alg];
  if (digest === undefined) throw new DialError(`oidc: id token signed with unsupported algorithm, got "${alg}"`);
  const candidates = keys.filter((k) => kid === undefined || k.kid === kid);
  const good = candidates.some((jwk) => {
    const key = createPublicKey({ key: jwk as never, format: "jwk" });
    const given = { key, ...(alg.startsWith("ES") ? { dsaEncoding: "ieee-p1363" as const } : {}) };
    return verify(digest, Buffer.from(`${head}.${body}`), given, Buffer.from(signature ?? "", "base64url"));
  });
  if (!good) throw new DialError("failed to verify signature: failed to verify id token signature");
  const claims = decode<Claims>(body);
  const audiences = [claims.aud ?? []].flat();
  if (!audiences.includes(audience)) throw new DialError(`oidc: expected audience "${audience}" got ${goJson(audiences)}`);
  if ((claims.exp ?? 0) * 1000 < nowMs) throw new DialError("oidc: token is expired");
  return claims;
}

export async function issuerDiscovery(p: Process, argv: readonly string[]): Promise<number> {
  const { flags, args } = parseFlags(argv, { "token-path": { kind: "string", default: "" }, audience: { kind: "string", default: "" } });
  checkArgs(args, 0, 0);
  const path = flags["token-path"] as string;
  let token: string;
  try {
    token = p.fs.readText(path).trim();
  } catch (e) {
    return fatal(p, `open ${path}: ${sysText(e)}`);
  }
  log(p, "OK: Got token");
  const claims = decode<Claims>(token.split(".")[1]);
  log(p, `validating with in-cluster discovery\nOK: got issuer ${claims.iss ?? ""}`);
  log(p, `Full, not-validated claims: \n${goJson(claims)}`);
  const config = inClusterConfig(p);
  if (typeof config === "string") return fatal(p, config);
  try {
    const issuer = (claims.iss ?? "").replace(/\/$/, "");
    const found = JSON.parse((await p.until(get(p, new URL(`${issuer}/.well-known/openid-configuration`), config))).body) as Claims;
    if (found["issuer"] !== claims.iss) throw new DialError(`oidc: issuer did not match the issuer returned by provider`);
    log(p, `OK: Constructed OIDC provider for issuer ${claims.iss}`);
    const keys = JSON.parse((await p.until(get(p, new URL(String(found["jwks_uri"])), config))).body) as { keys: never[] };
    const good = verifyToken(token, keys.keys, flags["audience"] as string, p.clock.nowMs());
    log(p, "OK: Validated signature on JWT");
    log(p, `OK: Got valid claims from token!\nFull, validated claims: \n${goJson(good)}`);
    return 0;
  } catch (e) {
    p.check();
    if (e instanceof DialError || e instanceof SyntaxError || e instanceof TypeError) return fatal(p, e.message);
    throw new GoPanic((e as Error).message);
  }
}
