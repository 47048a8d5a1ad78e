// Credentials: an nkey (Ed25519) for each component and node. The server knows public keys only; a client proves that it
// has the seed by signing the server's nonce. Specification: NATS nkeys, prefix U (user), seeds SU...
import { createSeed, userKey } from "./nkey.ts";

export interface IdentityKey {
  identity: string;
  /** Secret; belongs into the identity file of its owner and nowhere else. */
  seed: string;
  publicKey: string;
}

/** What a service reads from its `--identity-file` (JSON). */
export interface IdentityFile {
  cluster: string;
  identity: string;
  seed: string;
  natsUrl: string;
  /** This process's address on the wire; absent for processes without a network card. */
  underlay?: string;
}

/** A new key pair for `identity`. */
export function createIdentity(identity: string): IdentityKey {
  const seed = createSeed();
  return { identity, seed, publicKey: userKey(seed).publicKey };
}

/** The public key of a seed. Throws BadSeedError. */
export function publicKeyOf(seed: string): string {
  return userKey(seed).publicKey;
}
