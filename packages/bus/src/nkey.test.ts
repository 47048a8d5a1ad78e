// Our nkeys against the reference library's, both ways.
import { createUser, fromPublic, fromSeed } from "@nats-io/nkeys";
import { expect, test } from "vitest";
import { createIdentity, publicKeyOf } from "./identity.ts";
import { BadSeedError, createSeed, userKey } from "./nkey.ts";

const text = (b: Uint8Array) => new TextDecoder().decode(b);
const bytes = (s: string) => new TextEncoder().encode(s);

test("seeds of the reference library give the same public key and signatures", () => {
  for (let i = 0; i < 10; i++) {
    const reference = createUser();
    const ours = userKey(text(reference.getSeed()));
    expect(ours.publicKey).toBe(reference.getPublicKey());
    expect(ours.sign("nonce-1")).toBe(Buffer.from(reference.sign(bytes("nonce-1"))).toString("base64url"));
  }
});

test("our seeds are seeds for the reference library", () => {
  for (let i = 0; i < 10; i++) {
    const seed = createSeed();
    expect(seed).toMatch(/^SU[A-Z2-7]{56}$/);
    const { publicKey, sign } = userKey(seed);
    expect(fromSeed(bytes(seed)).getPublicKey()).toBe(publicKey);
    expect(fromPublic(publicKey).verify(bytes("n"), new Uint8Array(Buffer.from(sign("n"), "base64url")))).toBe(true);
  }
  const { seed, publicKey } = createIdentity("node:a");
  expect(publicKeyOf(seed)).toBe(publicKey);
});

test("what is not a user seed is refused with the reason", () => {
  const seed = createSeed();
  const damaged = seed.slice(0, 20) + (seed[20] === "A" ? "B" : "A") + seed.slice(21);
  for (const [bad, why] of [
    ["", "length"],
    [seed.slice(0, -3), "length"],
    [damaged, "checksum"],
    [seed.toLowerCase(), "character"],
    [userKey(seed).publicKey, "length"],
  ] as const) {
    expect(() => userKey(bad)).toThrow(BadSeedError);
    expect(() => userKey(bad)).toThrow(why);
  }
});
