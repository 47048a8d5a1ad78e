// The files that flags name, read once at the start. Invariant: a file that cannot be read, or a flag that needs another, stops the start
// with the flag's name.
import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { PodwireError, reasonOf } from "@podwire/base";
import type { ApiServerConfig } from "./config.ts";

/** A flag whose file is missing, unreadable or not what it should be. */
export class FlagFileError extends PodwireError {}

/** Contents by purpose; absent what no flag names. */
export interface FlagFiles {
  /** CSV of --token-auth-file. */
  tokens?: string;
  auditPolicy?: string;
  encryption?: string;
  serving?: { cert: string; key: string };
  /** More authorities whose client certificates count, beside the cluster's own. */
  clientCa?: string;
  /** Signs service account tokens instead of the cluster's own key. */
  signingKey?: string;
  /** More public keys that service account tokens may be signed with. */
  verificationKeys?: string[];
}

type FileFlag =
  | "token-auth-file"
  | "audit-policy-file"
  | "encryption-provider-config"
  | "tls-cert-file"
  | "tls-private-key-file"
  | "client-ca-file"
  | "service-account-signing-key-file";

export function readFlagFiles(config: ApiServerConfig): FlagFiles {
  const read = (flag: FileFlag): string | undefined => (config[flag] === "" ? undefined : readFlag(flag, config[flag]));
  const files: FlagFiles = {};
  const tokens = read("token-auth-file");
  if (tokens !== undefined) files.tokens = tokens;
  const auditPolicy = read("audit-policy-file");
  if (auditPolicy !== undefined) files.auditPolicy = auditPolicy;
  if (config["audit-log-path"] !== "" && auditPolicy === undefined) throw new FlagFileError("--audit-log-path needs --audit-policy-file");
  const encryption = read("encryption-provider-config");
  if (encryption !== undefined) files.encryption = encryption;
  const cert = read("tls-cert-file");
  const key = read("tls-private-key-file");
  if ((cert === undefined) !== (key === undefined)) throw new FlagFileError("--tls-cert-file and --tls-private-key-file go together");
  if (cert !== undefined && key !== undefined) {
    parsed("tls-cert-file", () => new X509Certificate(cert));
    parsed("tls-private-key-file", () => createPrivateKey(key));
    files.serving = { cert, key };
  }
  const clientCa = read("client-ca-file");
  if (clientCa !== undefined) {
    parsed("client-ca-file", () => new X509Certificate(clientCa));
    files.clientCa = clientCa;
  }
  const signingKey = read("service-account-signing-key-file");
  if (signingKey !== undefined) {
    parsed("service-account-signing-key-file", () => createPrivateKey(signingKey));
    files.signingKey = signingKey;
  }
  const keyFiles = config["service-account-key-file"].split(",").filter((f) => f !== "");
  if (keyFiles.length > 0)
    files.verificationKeys = keyFiles.flatMap((f) => {
      const blocks = readFlag("service-account-key-file", f).match(/-----BEGIN [^-]+-----[\s\S]+?-----END [^-]+-----/g) ?? [];
      if (blocks.length === 0) throw new FlagFileError(`--service-account-key-file: ${f} holds no PEM block`);
      return blocks.map((b) =>
        parsed("service-account-key-file", () => createPublicKey(b).export({ type: "spki", format: "pem" }) as string),
      );
    });
  return files;
}

function readFlag(flag: string, path: string): string {
  return parsed(flag, () => readFileSync(path, "utf8"));
}

function parsed<T>(flag: string, read: () => T): T {
  try {
    return read();
  } catch (e) {
    throw new FlagFileError(`--${flag}: ${reasonOf(e)}`, { cause: e });
  }
}
