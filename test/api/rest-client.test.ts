// The client's own REST transport against a real apiserver process: TLS with the cluster's authority, a client certificate or a bearer token,
// watches, and an informer that goes on after the server was killed and started again.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { silentLogger, systemClock, systemRandom } from "@podwire/base";
import { type ApiClient, ApiError, ApiUnreachableError, informer, type KubeObject, Resources, restClient } from "@podwire/client";
import { testNatsBinary } from "@podwire/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunningApiServer, startApiServer, TOKEN } from "./apiserver-process.ts";

describe.skipIf(testNatsBinary === undefined)("restClient (skipped without a nats-server)", () => {
  let server: RunningApiServer;
  const pem = (name: string) => readFileSync(join(server.folder, "pki", name), "utf8");
  const clients: ApiClient[] = [];
  const connect = (o: { token?: string; certificate?: boolean; trusted?: boolean }): ApiClient => {
    const c = restClient({
      server: server.url,
      clock: systemClock,
      fieldManager: "rest",
      ...(o.trusted === false ? {} : { ca: pem("ca.crt") }),
      ...(o.certificate ? { cert: pem("admin.crt"), key: pem("admin.key") } : {}),
      ...(o.token ? { token: o.token } : {}),
    });
    clients.push(c);
    return c;
  };
  const configMap = (name: string, data: Record<string, string> = {}) =>
    ({ metadata: { namespace: "default", name }, data }) as unknown as KubeObject;
  const whoami = async (c: ApiClient) => {
    const r = await c.raw({
      method: "POST",
      path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
      headers: { "content-type": "application/json" },
      body: new TextEncoder().encode('{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}'),
    });
    return [r.status, JSON.parse(new TextDecoder().decode(r.body)).status?.userInfo?.username];
  };

  beforeAll(async () => {
    server = await startApiServer("jetstream");
  });
  afterAll(async () => {
    for (const c of clients) await c.close();
    await server.close();
  });

  test("who asks: a certificate, a token, nobody; an unknown authority and a wrong token are refused", async () => {
    expect(await whoami(connect({ certificate: true }))).toEqual([201, "kubernetes-admin"]);
    expect(await whoami(connect({ token: TOKEN }))).toEqual([201, "admin"]);
    expect((await whoami(connect({})))[0]).toBe(403);
    expect((await whoami(connect({ token: "wrong" })))[0]).toBe(401);
    await expect(whoami(connect({ certificate: true, trusted: false }))).rejects.toThrow(ApiUnreachableError);
  });

  test("every verb, with Kubernetes' errors as ApiError", async () => {
    const c = connect({ certificate: true });
    const made = await c.create(Resources.configMaps, configMap("verbs", { a: "1" }));
    expect(made.metadata["managedFields"]).toMatchObject([{ manager: "rest" }]);
    await expect(c.create(Resources.configMaps, configMap("verbs"))).rejects.toMatchObject({ code: 409 });
    await c.patch(Resources.configMaps, "default", "verbs", "merge", { data: { b: "2" } });
    const got = await c.get(Resources.configMaps, "default", "verbs");
    expect((got as { data?: unknown }).data).toEqual({ a: "1", b: "2" });
    await c.update(Resources.configMaps, { ...got, data: { c: "3" } } as KubeObject);
    await expect(c.update(Resources.configMaps, { ...got, data: {} } as KubeObject)).rejects.toMatchObject({ code: 409 });
    expect((await c.list(Resources.configMaps, { namespace: "default" })).items.map((o) => o.metadata.name)).toContain("verbs");
    await c.delete(Resources.configMaps, "default", "verbs");
    await expect(c.get(Resources.configMaps, "default", "verbs")).rejects.toBeInstanceOf(ApiError);
    const many = await Promise.all(Array.from({ length: 100 }, (_, i) => c.create(Resources.configMaps, configMap(`many-${i}`))));
    expect(new Set(many.map((o) => o.metadata.resourceVersion)).size).toBe(100);
  });

  test("an informer follows a watch, and goes on after the server was killed", async () => {
    const c = connect({ certificate: true });
    const other = connect({ token: TOKEN });
    const seen: string[] = [];
    const following = informer({
      client: c,
      ref: Resources.configMaps,
      clock: systemClock,
      random: systemRandom(),
      log: silentLogger,
      namespace: "default",
    });
    following.handle({
      onAdd: (o) => void seen.push(`+${o.metadata.name}`),
      onUpdate: (o) => void seen.push(`~${o.metadata.name}`),
      onDelete: (o) => void seen.push(`-${o.metadata.name}`),
    });
    await following.start();
    await other.create(Resources.configMaps, configMap("followed"));
    await other.patch(Resources.configMaps, "default", "followed", "merge", { data: { x: "1" } });
    await expect.poll(() => seen).toContain("~followed");
    await server.restart();
    await expect
      .poll(
        () =>
          other.delete(Resources.configMaps, "default", "followed").then(
            () => true,
            () => false,
          ),
        { timeout: 20_000 },
      )
      .toBe(true);
    await other.create(Resources.configMaps, configMap("after"));
    await expect.poll(() => seen, { timeout: 20_000 }).toContain("+after");
    expect(seen).toContain("-followed");
    expect(seen.indexOf("+followed")).toBeLessThan(seen.indexOf("~followed"));
    following.stop();
  });
});
