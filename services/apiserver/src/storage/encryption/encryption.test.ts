// Encryption at rest: the ciphers against known vectors, rotation of keys, and what cannot be read.
import { randomBytes } from "node:crypto";
import { silentLogger, systemClock } from "@podwire/base";
import { openMemoryStore } from "@podwire/store";
import { describe, expect, test } from "vitest";
import { EncryptedStore } from "./encrypted-store.ts";
import { EncryptionConfigError, EncryptionConfiguration } from "./providers.ts";
import { open, seal } from "./secretbox.ts";

const KEY = Buffer.alloc(32, 7).toString("base64");
const OTHER = Buffer.alloc(32, 9).toString("base64");
const config = (...providers: string[]) =>
  new EncryptionConfiguration(
    `kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources:\n- resources: [secrets, "*.apps"]\n  providers:\n${providers.map((p) => `  - ${p}\n`).join("")}`,
  );
const cipher = (name: string, ...keys: [string, string][]) =>
  `${name}: {keys: [${keys.map(([n, s]) => `{name: ${n}, secret: "${s}"}`).join(", ")}]}`;
const secret = { group: "", resource: "secrets", namespace: "n", name: "s" };
const text = (b: Uint8Array | undefined) => Buffer.from(b ?? []).toString();

describe("secretbox", () => {
  test("NaCl's own example", () => {
    const key = Buffer.from("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389", "hex");
    const nonce = Buffer.from("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37", "hex");
    const message = Buffer.from(
      "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705",
      "hex",
    );
    const box = Buffer.from(
      "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5",
      "hex",
    );
    expect(seal(key, nonce, message).toString("hex")).toBe(box.toString("hex"));
    expect(open(key, nonce, box)?.toString("hex")).toBe(message.toString("hex"));
    const changed = Buffer.from(box);
    changed[20] = (changed[20] as number) ^ 1;
    expect(open(key, nonce, changed)).toBeUndefined();
  });

  test("every length", () => {
    const key = randomBytes(32);
    const nonce = randomBytes(24);
    for (const n of [0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 97, 1000]) {
      const message = randomBytes(n);
      expect(open(key, nonce, seal(key, nonce, message))).toEqual(message);
    }
  });
});

describe("encryption at rest", () => {
  for (const name of ["aescbc", "aesgcm", "secretbox"]) {
    test(`${name}: what is stored is ciphertext with its key's name, and changed bytes are refused`, async () => {
      const disk = openMemoryStore({ clock: systemClock, log: silentLogger });
      const store = new EncryptedStore(disk, config(cipher(name, ["k1", KEY]), "identity: {}"));
      await store.create(secret, Buffer.from('{"data":"topsecret"}'));
      const raw = text((await disk.get(secret))?.value);
      expect(raw.startsWith(`k8s:enc:${name}:v1:k1:`)).toBe(true);
      expect(raw).not.toContain("topsecret");
      expect(text((await store.get(secret))?.value)).toBe('{"data":"topsecret"}');
      await store.create({ ...secret, resource: "configmaps" }, Buffer.from("{}"));
      expect(text((await disk.get({ ...secret, resource: "configmaps" }))?.value)).toBe("{}");
      const wrong = new EncryptedStore(disk, config(cipher(name, ["k1", OTHER])));
      await expect(wrong.get(secret)).rejects.toThrow(/authenti|padding|size/);
    });
  }

  test("a value moved to another key is refused by aesgcm", async () => {
    const disk = openMemoryStore({ clock: systemClock, log: silentLogger });
    const store = new EncryptedStore(disk, config(cipher("aesgcm", ["k1", KEY])));
    await store.create(secret, Buffer.from("{}"));
    const moved = { ...secret, name: "other" };
    await disk.create(moved, (await disk.get(secret))?.value as Uint8Array);
    await expect(store.get(moved)).rejects.toThrow("message authentication failed");
  });

  test("rotation: old keys and plain values are read, and are stale until written again", async () => {
    const disk = openMemoryStore({ clock: systemClock, log: silentLogger });
    await new EncryptedStore(disk, config(cipher("aescbc", ["old", OTHER]))).create(secret, Buffer.from("1"));
    await disk.create({ ...secret, name: "plain" }, Buffer.from("2"));
    const store = new EncryptedStore(disk, config(cipher("aescbc", ["new", KEY], ["old", OTHER]), "identity: {}"));
    const seen: string[] = [];
    const feed = await store.feed({
      onSnapshot: (e) => seen.push(`${e.key.name}=${text(e.value)}`),
      onSynced: () => {},
      onChange: (e) => seen.push(`${e.key.name}=${text(e.value)}`),
      onRestart: () => {},
    });
    await feed.reached(2);
    expect(seen.sort()).toEqual(["plain=2", "s=1"]);
    expect([store.isStale(secret), store.isStale({ ...secret, name: "plain" })]).toEqual([true, true]);
    const revision = await store.update(secret, Buffer.from("1"), 1);
    await feed.reached(revision);
    expect(store.isStale(secret)).toBe(false);
    expect(text((await disk.get(secret))?.value)).toContain("aescbc:v1:new:");
    feed.close();
  });

  test("what no provider can read is named with its key", async () => {
    const disk = openMemoryStore({ clock: systemClock, log: silentLogger });
    await new EncryptedStore(disk, config(cipher("aescbc", ["lost", OTHER]))).create(secret, Buffer.from("1"));
    const store = new EncryptedStore(disk, config("identity: {}"));
    const feed = await store.feed({
      onSnapshot: () => expect.fail("passed on"),
      onSynced: () => {},
      onChange: () => {},
      onRestart: () => {},
    });
    await feed.reached(1);
    expect(store.unreadable("", "secrets", "")).toBe(
      'unable to transform key "/registry/secrets/n/s": identity transformer tried to read encrypted data',
    );
    expect(store.unreadable("", "secrets", "n", "other")).toBeUndefined();
    expect(store.unreadable("", "configmaps", "")).toBeUndefined();
    feed.close();
  });

  test("configurations that cannot be used say why, without the secret", () => {
    expect(() => config(cipher("aescbc", ["k", "c2hvcnQ="]))).toThrow(/not of the expected length, got 5, expected one of \[16 24 32\]/);
    expect(() => config("kms: {name: x}")).toThrow(EncryptionConfigError);
    expect(() => config(cipher("secretbox", ["a:b", KEY]))).toThrow("must not contain ':'");
    expect(() => new EncryptionConfiguration("kind: X\n")).toThrow(/no kind "X"/);
    const head = "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\n";
    expect(() => new EncryptionConfiguration(`${head}resources: {a: b}\n`)).toThrow(EncryptionConfigError);
    expect(() => new EncryptionConfiguration(`${head}resources: [{resources: [secrets], providers: [{aescbc: {keys: x}}]}]\n`)).toThrow(
      "error decoding encryption provider configuration file",
    );
  });
});
