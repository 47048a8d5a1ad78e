// Flags that change what the server does: each is shown to work, or to be refused.
import { generateKeyPairSync } from "node:crypto";
import { readConfig, silentLogger, systemClock, z } from "@podwire/base";
import { openMemoryStore, type Store } from "@podwire/store";
import { virtualClock } from "@podwire/testkit";
import { describe, expect, test } from "vitest";
import { FLAGS } from "./config.ts";
import { startInProcess } from "./in-process.ts";

const problem = (flags: Record<string, string>) => z.object(FLAGS).safeParse(flags).error?.issues[0]?.message;
const POD = { metadata: { name: "p" }, spec: { containers: [{ name: "c", image: "i", imagePullPolicy: "Never" }] } };
const JANE = { name: "jane", groups: ["system:authenticated"] };

/** A server whose store the test can look into, and hand to the next. */
async function start(o: Parameters<typeof startInProcess>[0] & { store?: Store } = {}) {
  const clock = o.clock ?? systemClock;
  const store = o.store ?? openMemoryStore({ clock, log: silentLogger });
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const serviceAccountKeyPem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  return { ...(await startInProcess({ serviceAccountKeyPem, ...o, store })), store };
}

describe("flags", () => {
  test("values that nothing would honour are refused by name", () => {
    expect(problem({ "authorization-mode": "ABAC" })).toContain('the authorization mode "ABAC" is not supported');
    expect(problem({ "authorization-mode": "Rbac" })).toBe('authorization-mode "Rbac" is not a valid mode');
    expect(problem({ "enable-admission-plugins": "Bogus" })).toBe('plugin "Bogus" is unknown');
    expect(problem({ "enable-admission-plugins": "EventRateLimit" })).toContain("is not supported");
    expect(problem({ "feature-gates": "Bogus=true" })).toContain("has no switch here");
    expect(problem({ "feature-gates": "MutatingAdmissionPolicy=maybe" })).toContain("strconv.ParseBool");
    expect(problem({ "event-ttl": "soon" })).toContain("invalid duration");
    expect(problem({ "service-account-issuer": "a,a" })).toBe('service-account-issuer "a" is already specified');
    expect(problem({ "service-account-issuer": "a:b c" })).toBeUndefined();
    expect(problem({ "service-account-issuer": ":x" })).toContain("contained a ':' but was not a valid URL");
    expect(problem({})).toBeUndefined();
  });

  test("lists may be given several times, other flags once: the last counts", () => {
    const argv = ["--service-account-issuer=https://a", "--service-account-issuer", "https://b", "--event-ttl=1h", "--event-ttl=2h"];
    const config = readConfig("apiserver", FLAGS, argv, {});
    expect([config["service-account-issuer"], config["event-ttl"]]).toEqual([["https://a", "https://b"], 7_200_000]);
  });

  test("--authorization-mode", async () => {
    const allow = await start({ flags: { "authorization-mode": "AlwaysAllow" } });
    expect((await allow.request("GET", "/api/v1/nodes", undefined, { user: JANE })).status).toBe(200);
    await allow.server.stop();
    const rbac = await start({ flags: { "authorization-mode": "RBAC" } });
    expect((await rbac.request("GET", "/api/v1/nodes", undefined, { user: JANE })).status).toBe(403);
    await rbac.server.stop();
  });

  test("--enable-admission-plugins and --disable-admission-plugins", async () => {
    const s = await start({
      flags: {
        "enable-admission-plugins": "AlwaysPullImages,DenyServiceExternalIPs,NamespaceAutoProvision",
        "disable-admission-plugins": "ServiceAccount,NamespaceLifecycle",
      },
    });
    const pod = await s.request("POST", "/api/v1/namespaces/fresh/pods", POD);
    expect(pod.body.spec.containers[0].imagePullPolicy).toBe("Always");
    expect(pod.body.spec.serviceAccountName).toBeUndefined();
    expect((await s.request("GET", "/api/v1/namespaces/fresh")).body.status.phase).toBe("Active");
    const service = await s.request("POST", "/api/v1/namespaces/default/services", {
      metadata: { name: "s" },
      spec: { ports: [{ port: 80 }], externalIPs: ["1.2.3.4"] },
    });
    expect([service.status, service.body.message]).toEqual([
      403,
      'services "s" is forbidden: Use of external IPs is denied by admission control',
    ]);
    await s.server.stop();
  });

  test("--event-ttl: events go when they have not been written for that long", async () => {
    const clock = virtualClock();
    const driven = async <T>(p: Promise<T>): Promise<T> => {
      let pending = true;
      void p.finally(() => {
        pending = false;
      });
      while (pending) {
        await clock.advance(1);
        await new Promise((r) => setImmediate(r));
      }
      return p;
    };
    const s = await driven(start({ flags: { "event-ttl": "10m" }, clock }));
    const ask = (...a: Parameters<typeof s.request>) => driven(s.request(...a));
    const names = async () => (await ask("GET", "/api/v1/namespaces/default/events")).body.items.map((e: any) => e.metadata.name);
    const event = (name: string) => ({ metadata: { name }, involvedObject: { namespace: "default" }, reason: "r" });
    await ask("POST", "/api/v1/namespaces/default/events", event("old"));
    await ask("POST", "/api/v1/namespaces/default/events", event("kept"));
    await clock.advance(8 * 60_000);
    await ask(
      "PATCH",
      "/api/v1/namespaces/default/events/kept",
      { count: 2 },
      { headers: { "content-type": "application/merge-patch+json" } },
    );
    await clock.advance(4 * 60_000);
    await driven(new Promise((r) => setTimeout(r, 20)));
    expect(await names()).toEqual(["kept"]);
    await clock.advance(20 * 60_000);
    await driven(new Promise((r) => setTimeout(r, 20)));
    expect(await names()).toEqual([]);
    await s.server.stop();
  });

  test("--encryption-provider-config: ciphertext in the store, objects in answers; a lost key is a 500", async () => {
    const config = (provider: string) =>
      `kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources: [{resources: [secrets], providers: [${provider}]}]\n`;
    const key = `{secretbox: {keys: [{name: k, secret: "${Buffer.alloc(32, 3).toString("base64")}"}]}}`;
    const s = await start({ files: { encryption: config(`${key}, {identity: {}}`) } });
    await s.request("POST", "/api/v1/namespaces/default/secrets", { metadata: { name: "s" }, stringData: { p: "hunter2" } });
    const raw = Buffer.from((await s.store.get({ group: "", resource: "secrets", namespace: "default", name: "s" }))?.value ?? []).toString(
      "latin1",
    );
    expect(raw).toMatch(/^k8s:enc:secretbox:v1:k:/);
    expect((await s.request("GET", "/api/v1/namespaces/default/secrets/s")).body.data.p).toBe(Buffer.from("hunter2").toString("base64"));
    await s.server.stop();
    const lost = await start({ files: { encryption: config("{identity: {}}") }, store: s.store });
    const one = await lost.request("GET", "/api/v1/namespaces/default/secrets/s");
    const why =
      'Internal error occurred: unable to transform key "/registry/secrets/default/s": identity transformer tried to read encrypted data';
    expect([one.status, one.body.message]).toEqual([500, why]);
    const all = await lost.request("GET", "/api/v1/secrets");
    expect([all.status, all.body.message]).toEqual([500, why]);
    expect((await lost.request("GET", "/api/v1/namespaces/other/secrets")).status).toBe(200);
    await lost.server.stop();
    const plain = await start({ files: { encryption: config(`{identity: {}}, ${key}`) }, store: s.store });
    const secret = (await plain.request("GET", "/api/v1/namespaces/default/secrets/s")).body;
    expect((await plain.request("PUT", "/api/v1/namespaces/default/secrets/s", secret)).status).toBe(200);
    const rewritten = Buffer.from(
      (await s.store.get({ group: "", resource: "secrets", namespace: "default", name: "s" }))?.value ?? [],
    ).toString("latin1");
    expect(rewritten.startsWith('{"kind":"Secret"')).toBe(true);
    await plain.server.stop();
  });

  test("--service-account-signing-key-file and --service-account-key-file: new tokens by the new key, old ones still count", async () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const first = await start({ files: { signingKey: rsa.privateKey.export({ type: "pkcs8", format: "pem" }) as string } });
    await first.request("POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "bob" } });
    const tokenOf = async (s: typeof first) =>
      (await s.request("POST", "/api/v1/namespaces/default/serviceaccounts/bob/token", {})).body.status.token as string;
    const old = await tokenOf(first);
    await first.server.stop();
    const ec = generateKeyPairSync("ec", { namedCurve: "P-384" });
    const second = await start({
      store: first.store,
      files: {
        signingKey: ec.privateKey.export({ type: "pkcs8", format: "pem" }) as string,
        verificationKeys: [rsa.publicKey.export({ type: "spki", format: "pem" }) as string],
      },
    });
    const fresh = await tokenOf(second);
    expect(JSON.parse(Buffer.from(fresh.split(".")[0] as string, "base64url").toString()).alg).toBe("ES384");
    for (const t of [old, fresh]) expect((await second.server.authenticate(`Bearer ${t}`)).name).toBe("system:serviceaccount:default:bob");
    await second.server.stop();
    const third = await start({ store: first.store });
    await expect(third.server.authenticate(`Bearer ${old}`)).rejects.toThrow();
    await third.server.stop();
  });
});
