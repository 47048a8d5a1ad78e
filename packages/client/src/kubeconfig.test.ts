// Credentials out of kubeconfig files and out of a pod's files, and what is said when they are wrong.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { credentialsOfKubeconfig, inClusterCredentials, KubeconfigError } from "./kubeconfig.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "kubeconfig-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const base64 = (text: string) => Buffer.from(text).toString("base64");
const write = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};

it("takes the current context, certificates inside or beside the file, and a token file anew each time", () => {
  write("ca.pem", "CA");
  write("token", "one\n");
  const path = write(
    "config",
    `apiVersion: v1
kind: Config
current-context: b
contexts: [{ name: a, context: { cluster: c, user: cert } }, { name: b, context: { cluster: c, user: token } }]
clusters: [{ name: c, cluster: { server: "https://h:1", certificate-authority: ca.pem } }]
users:
  - { name: cert, user: { client-certificate-data: ${base64("CERT")}, client-key-data: ${base64("KEY")} } }
  - { name: token, user: { tokenFile: token } }
`,
  );
  const byToken = credentialsOfKubeconfig(path);
  expect(byToken).toMatchObject({ server: "https://h:1", ca: Buffer.from("CA") });
  const token = byToken.token as () => string;
  expect(token()).toBe("one");
  write("token", "two");
  expect(token()).toBe("two");
  expect(credentialsOfKubeconfig(path, "a")).toEqual({
    server: "https://h:1",
    ca: Buffer.from("CA"),
    cert: Buffer.from("CERT"),
    key: Buffer.from("KEY"),
  });
  expect(() => credentialsOfKubeconfig(path, "x")).toThrow(KubeconfigError);
});

it("finds the API from inside a pod", () => {
  write("ca.crt", "CA");
  write("token", "T\n");
  const c = inClusterCredentials({ KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" }, dir);
  expect(c.server).toBe("https://10.96.0.1:443");
  expect((c.token as () => string)()).toBe("T");
  expect(() => inClusterCredentials({}, dir)).toThrow("not in a cluster");
});
