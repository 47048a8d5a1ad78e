// Secrets of type kubernetes.io/service-account-token on a whole control plane: filled, good for requests, gone with their account, and
// cleaned when they were made by themselves and nobody uses them. (KEP-2799)
import { generateKeyPairSync } from "node:crypto";
import { seededRandom } from "@podwire/base";
import { type KubeObject, Resources } from "@podwire/client";
import { virtualClock } from "@podwire/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type ControlPlane, startControlPlane } from "./control-plane.ts";

const DAY_MS = 86_400_000;
const INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since";
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const serviceAccountKey = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
let clock = virtualClock();
let plane: ControlPlane;

async function drive<T>(p: Promise<T>): Promise<T> {
  let settled = false;
  const mark = () => {
    settled = true;
  };
  p.then(mark, mark);
  for (let i = 0; i < 2_000 && !settled; i++) await clock.advance(50);
  return p;
}

beforeEach(async () => {
  clock = virtualClock(Date.UTC(2026, 0, 1));
  const controllers = ["serviceaccount-controller", "serviceaccount-token-controller", "legacy-serviceaccount-token-cleaner-controller"];
  const settings = { legacyTokenCleanUpPeriodMs: 3 * DAY_MS };
  plane = await drive(startControlPlane({ clock, random: seededRandom(3), controllers, settings, serviceAccountKey }));
  await drive(plane.client.create(Resources.serviceAccounts, { metadata: { namespace: "default", name: "robot" } } as KubeObject));
});
afterEach(() => drive(plane.stop()));

async function token(name: string): Promise<string> {
  const annotations = { "kubernetes.io/service-account.name": "robot" };
  const type = "kubernetes.io/service-account-token";
  await drive(plane.client.create(Resources.secrets, { metadata: { namespace: "default", name, annotations }, type } as KubeObject));
  await clock.advance(1_000);
  const secret = await read(name);
  return Buffer.from(secret?.["data"]?.token ?? "", "base64").toString("utf8");
}
const read = (name: string) => drive(plane.client.get(Resources.secrets, "default", name).catch(() => undefined));
const login = (t: string) => drive(plane.server.authenticate(`Bearer ${t}`));

it("a Secret that names an account is filled, its token is that account, and its use is noted", async () => {
  const t = await token("robot-token");
  const secret = await read("robot-token");
  expect(Object.keys(secret?.["data"]).sort()).toEqual(["ca.crt", "namespace", "token"]);
  expect(secret?.metadata.annotations?.["kubernetes.io/service-account.uid"]).toBe(
    (await drive(plane.client.get(Resources.serviceAccounts, "default", "robot"))).metadata.uid,
  );
  expect(JSON.parse(Buffer.from(t.split(".")[1] as string, "base64url").toString())).toMatchObject({
    iss: "kubernetes/serviceaccount",
    sub: "system:serviceaccount:default:robot",
    "kubernetes.io/serviceaccount/secret.name": "robot-token",
  });
  expect(await login(t)).toMatchObject({
    name: "system:serviceaccount:default:robot",
    groups: ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
  });
  await clock.advance(1_000);
  expect((await read("robot-token"))?.metadata.labels).toEqual({ "kubernetes.io/legacy-token-last-used": "2026-01-01" });
  const revision = (await read("robot-token"))?.metadata.resourceVersion;
  await login(t);
  await clock.advance(60_000);
  expect((await read("robot-token"))?.metadata.resourceVersion).toBe(revision);
  const reviewed = await drive(
    plane.client.create(
      { group: "authentication.k8s.io", version: "v1", resource: "tokenreviews", kind: "TokenReview", namespaced: false },
      { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", metadata: { name: "" }, spec: { token: t } } as KubeObject,
    ),
  );
  expect(reviewed["status"]).toMatchObject({ authenticated: true, user: { username: "system:serviceaccount:default:robot" } });
});

it("a token ends with its Secret, and a Secret with its account; one of nobody's is removed", async () => {
  const [a, b] = [await token("a"), await token("b")];
  await drive(plane.client.delete(Resources.secrets, "default", "a"));
  await expect(login(a)).rejects.toThrow("Unauthorized");
  // Emptied, it is made anew, and only the new one is good.
  await drive(plane.client.patch(Resources.secrets, "default", "b", "merge", { data: { token: "" } }));
  await clock.advance(1_000);
  expect((await read("b"))?.["data"].token.length).toBeGreaterThan(100);
  await expect(login(`${b}x`)).rejects.toThrow("Unauthorized");
  await drive(plane.client.delete(Resources.serviceAccounts, "default", "robot"));
  await clock.advance(2_000);
  expect(await read("b")).toBeUndefined();
  await token("orphan");
  await clock.advance(2_000);
  expect(await read("orphan")).toBeUndefined();
});

it("unused tokens that the account lists are marked, refused, and removed; others stay", async () => {
  const t = await token("auto");
  await token("manual");
  await drive(plane.client.patch(Resources.serviceAccounts, "default", "robot", "merge", { secrets: [{ name: "auto" }] }));
  await clock.advance(3 * DAY_MS);
  expect((await read("auto"))?.metadata.labels?.[INVALID_SINCE]).toBeUndefined();
  await clock.advance(2 * DAY_MS);
  expect((await read("auto"))?.metadata.labels?.[INVALID_SINCE]).toMatch(/^2026-01-0\d$/);
  await expect(login(t)).rejects.toThrow("Unauthorized");
  await clock.advance(5 * DAY_MS);
  expect(await read("auto")).toBeUndefined();
  expect((await drive(plane.client.get(Resources.serviceAccounts, "default", "robot")))["secrets"] ?? []).toEqual([]);
  expect((await read("manual"))?.metadata.labels).toBeUndefined();
});
