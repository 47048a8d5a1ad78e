// Encryption of stored values: the providers of an EncryptionConfiguration (apiserver.config.k8s.io/v1) and the form of what they write,
// "k8s:enc:<provider>:v1:<key name>:" before the bytes (apiserver/pkg/storage/value/encrypt). Pure but for random nonces.
// Invariant: a value is read by the provider and key that its prefix names, and by no other.
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { PodwireError, reasonOf, z } from "@podwire/base";
import { parse } from "yaml";
import { KEY_BYTES, NONCE_BYTES, open, seal } from "./secretbox.ts";

/** A configuration that cannot be used; says what is wrong and where. */
export class EncryptionConfigError extends PodwireError {}

/** A stored value that no provider can read. */
export class DecryptionError extends PodwireError {}

const PREFIX = "k8s:enc:";
const GCM_NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CBC_IV_BYTES = 16;

interface Cipher {
  encrypt(value: Uint8Array, context: string): Buffer;
  /** Throws when the value is not whole. */
  decrypt(value: Buffer, context: string): Buffer;
}

interface Provider {
  /** Without keys, for identity, the empty prefix. */
  prefix: string;
  keys: { prefix: string; cipher: Cipher }[];
}

/** How the values of one resource are written and read. */
export class Transformer {
  readonly #providers: readonly Provider[];

  constructor(providers: readonly Provider[]) {
    this.#providers = providers;
  }

  /** `context` is the value's key, which authenticated ciphers bind the value to. */
  encrypt(value: Uint8Array, context: string): Uint8Array {
    const first = this.#providers[0] as Provider;
    const key = first.keys[0];
    if (!key) return value;
    return Buffer.concat([Buffer.from(key.prefix), key.cipher.encrypt(value, context)]);
  }

  /** `stale`: written by a provider or key that is not the first. Throws DecryptionError. */
  decrypt(value: Uint8Array, context: string): { value: Uint8Array; stale: boolean } {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    const isEncrypted = bytes.subarray(0, PREFIX.length).toString("latin1") === PREFIX;
    let failure: string | undefined;
    for (const [i, p] of this.#providers.entries()) {
      if (p.prefix === "") {
        if (!isEncrypted) return { value, stale: i > 0 };
        failure ??= "identity transformer tried to read encrypted data";
        continue;
      }
      for (const [j, key] of p.keys.entries()) {
        if (bytes.subarray(0, key.prefix.length).toString("utf8") !== key.prefix) continue;
        try {
          return { value: key.cipher.decrypt(bytes.subarray(Buffer.byteLength(key.prefix)), context), stale: i > 0 || j > 0 };
        } catch (e) {
          throw new DecryptionError(reasonOf(e), { cause: e });
        }
      }
    }
    throw new DecryptionError(failure && this.#providers.length === 1 ? failure : "no matching prefix found");
  }
}

const KEYS_SHAPE = z.object({ keys: z.array(z.object({ name: z.string().nullish(), secret: z.string().nullish() })).nullish() }).nullish();
/** Types of the file's fields; what they say is judged afterwards, in Kubernetes' words. */
const FILE_SHAPE = z.object({
  resources: z
    .array(
      z.object({
        resources: z.array(z.string()).nullish(),
        providers: z.array(z.looseObject({ aescbc: KEYS_SHAPE, aesgcm: KEYS_SHAPE, secretbox: KEYS_SHAPE })).nullish(),
      }),
    )
    .nullish(),
});

/** Which transformer a resource has; undefined: stored as it is. */
export class EncryptionConfiguration {
  readonly #rules: { patterns: readonly string[]; transformer: Transformer }[];

  /** From a configuration file's text. Throws EncryptionConfigError. */
  constructor(text: string) {
    let config: any;
    try {
      config = parse(text, { logLevel: "error" });
    } catch (e) {
      throw new EncryptionConfigError(`error decoding encryption provider configuration file: ${reasonOf(e)}`, { cause: e });
    }
    if (config?.kind !== "EncryptionConfiguration" || config.apiVersion !== "apiserver.config.k8s.io/v1")
      throw new EncryptionConfigError(
        `no kind ${JSON.stringify(config?.kind ?? "")} is registered for version ${JSON.stringify(config?.apiVersion ?? "")}: want EncryptionConfiguration of apiserver.config.k8s.io/v1`,
      );
    const shape = FILE_SHAPE.safeParse(config);
    if (!shape.success)
      throw new EncryptionConfigError(`error decoding encryption provider configuration file: ${z.prettifyError(shape.error)}`);
    const entries: any[] = config.resources ?? [];
    if (entries.length === 0) throw new EncryptionConfigError("resources: Required value: at least one element needed");
    this.#rules = entries.map((e, i) => {
      const at = `resources[${i}]`;
      if (!e.resources?.length) throw new EncryptionConfigError(`${at}.resources: Required value: at least one element needed`);
      if (!e.providers?.length) throw new EncryptionConfigError(`${at}.providers: Required value: at least one element needed`);
      return {
        patterns: e.resources,
        transformer: new Transformer(e.providers.map((p: any, j: number) => providerOf(p, `${at}.providers[${j}]`))),
      };
    });
  }

  /** The first entry that names the resource decides: "secrets", "widgets.example.com", "*.apps", "*." or "*.*". */
  of(group: string, resource: string): Transformer | undefined {
    const whole = group === "" ? resource : `${resource}.${group}`;
    return this.#rules.find((r) => r.patterns.some((p) => p === whole || p === "*.*" || p === `*.${group}`))?.transformer;
  }
}

function providerOf(p: Record<string, any>, at: string): Provider {
  const names = Object.keys(p ?? {});
  if (names.length !== 1) throw new EncryptionConfigError(`${at}: Invalid value: expected exactly one provider, got ${names.length}`);
  const name = names[0] as string;
  if (name === "identity") return { prefix: "", keys: [] };
  const make = CIPHERS[name];
  if (!make)
    throw new EncryptionConfigError(
      `${at}: the provider ${JSON.stringify(name)} is not supported (identity, aescbc, aesgcm and secretbox are)`,
    );
  const keys: any[] = p[name]?.keys ?? [];
  if (keys.length === 0) throw new EncryptionConfigError(`${at}.${name}.keys: Required value: at least one element needed`);
  const prefix = `${PREFIX}${name}:v1:`;
  return {
    prefix,
    keys: keys.map((k, i) => {
      const where = `${at}.${name}.keys[${i}]`;
      if (!k.name) throw new EncryptionConfigError(`${where}.name: Required value`);
      if (String(k.name).includes(":"))
        throw new EncryptionConfigError(`${where}.name: Invalid value: ${JSON.stringify(k.name)}: names must not contain ':'`);
      if (!k.secret) throw new EncryptionConfigError(`${where}.secret: Required value`);
      const secret = Buffer.from(k.secret, "base64");
      const sizes = name === "secretbox" ? [KEY_BYTES] : [16, 24, 32];
      if (!sizes.includes(secret.length))
        throw new EncryptionConfigError(
          `${where}.secret: Invalid value: "REDACTED": secret is not of the expected length, got ${secret.length}, expected one of [${sizes.join(" ")}]`,
        );
      return { prefix: `${prefix}${k.name}:`, cipher: make(secret) };
    }),
  };
}

const CIPHERS: Readonly<Record<string, (key: Buffer) => Cipher>> = {
  aesgcm: (key) => ({
    encrypt(value, context) {
      const nonce = randomBytes(GCM_NONCE_BYTES);
      const c = createCipheriv(`aes-${key.length * 8}-gcm` as "aes-256-gcm", key, nonce).setAAD(Buffer.from(context));
      return Buffer.concat([nonce, c.update(value), c.final(), c.getAuthTag()]);
    },
    decrypt(value, context) {
      if (value.length < GCM_NONCE_BYTES + TAG_BYTES) throw new DecryptionError("the stored data was shorter than the required size");
      const nonce = value.subarray(0, GCM_NONCE_BYTES);
      const d = createDecipheriv(`aes-${key.length * 8}-gcm` as "aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
      d.setAAD(Buffer.from(context)).setAuthTag(value.subarray(-TAG_BYTES));
      const text = d.update(value.subarray(GCM_NONCE_BYTES, -TAG_BYTES));
      try {
        return Buffer.concat([text, d.final()]);
      } catch (e) {
        throw new DecryptionError("cipher: message authentication failed", { cause: e });
      }
    },
  }),
  aescbc: (key) => ({
    encrypt(value) {
      const iv = randomBytes(CBC_IV_BYTES);
      const c = createCipheriv(`aes-${key.length * 8}-cbc`, key, iv);
      return Buffer.concat([iv, c.update(value), c.final()]);
    },
    decrypt(value) {
      if (value.length < CBC_IV_BYTES) throw new DecryptionError("the stored data was shorter than the required size");
      if (value.length % CBC_IV_BYTES !== 0) throw new DecryptionError("the stored data is not a multiple of the block size");
      const d = createDecipheriv(`aes-${key.length * 8}-cbc`, key, value.subarray(0, CBC_IV_BYTES));
      try {
        return Buffer.concat([d.update(value.subarray(CBC_IV_BYTES)), d.final()]);
      } catch (e) {
        throw new DecryptionError("invalid padding on input", { cause: e });
      }
    },
  }),
  secretbox: (key) => ({
    encrypt(value) {
      const nonce = randomBytes(NONCE_BYTES);
      return Buffer.concat([nonce, seal(key, nonce, value)]);
    },
    decrypt(value) {
      if (value.length < NONCE_BYTES) throw new DecryptionError("the stored data was shorter than the required size");
      const text = open(key, value.subarray(0, NONCE_BYTES), value.subarray(NONCE_BYTES));
      if (!text) throw new DecryptionError("output was invalid size or not authenticated");
      return text;
    },
  }),
};
