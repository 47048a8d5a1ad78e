// Who sends a request: a client certificate of our CA, a bearer token, or nobody (anonymous).
// Invariant: credentials that are there and wrong are 401, never anonymous.
import { X509Certificate } from "node:crypto";
import type { User } from "../call.ts";

export interface TokenAuthenticator {
  /** undefined: not a token of mine. May throw a StatusError. */
  authenticate(token: string): User | undefined | Promise<User | undefined>;
}

export const ANONYMOUS: User = { name: "system:anonymous", groups: ["system:unauthenticated"] };
const AUTHENTICATED = "system:authenticated";

/** Adds system:authenticated once. */
export function authenticated(user: User): User {
  return user.groups.includes(AUTHENTICATED) ? user : { ...user, groups: [...user.groups, AUTHENTICATED] };
}

/** --token-auth-file: CSV lines of token,user,uid,"group,group". Throws when a line has fewer than three columns. */
export function tokenFile(text: string): TokenAuthenticator {
  const users = new Map<string, User>();
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const columns = csv(line);
    const [token, name, uid, groups] = columns;
    if (!token || name === undefined || uid === undefined)
      throw new Error(`token auth file, line ${i + 1}: expected token,user name,user uid[,groups]`);
    users.set(token, authenticated({ name, uid, groups: groups ? groups.split(",") : [] }));
  }
  return { authenticate: (token) => users.get(token) };
}

/** The user of a verified client certificate: common name and organizations. undefined when it is not for clients. */
export function certificateUser(der: Uint8Array): User | undefined {
  const cert = new X509Certificate(der);
  const usages = cert.keyUsage ?? [];
  if (usages.length > 0 && !usages.includes("1.3.6.1.5.5.7.3.2") && !usages.includes("2.5.29.37.0")) return undefined;
  let name = "";
  const groups: string[] = [];
  for (const line of cert.subject.split("\n")) {
    const eq = line.indexOf("=");
    const value = line.slice(eq + 1);
    if (line.startsWith("CN=")) name = value;
    if (line.startsWith("O=")) groups.push(value);
  }
  if (name === "") return undefined;
  return authenticated({
    name,
    groups,
    extra: { "authentication.kubernetes.io/credential-id": [`X509SHA256=${cert.fingerprint256.replaceAll(":", "").toLowerCase()}`] },
  });
}

/** Tries each in turn; the first that knows the token wins. A promise only where one of them needs it. */
export function unionOf(authenticators: readonly TokenAuthenticator[]): TokenAuthenticator {
  const from = (first: number, token: string): User | undefined | Promise<User | undefined> => {
    for (let i = first; i < authenticators.length; i++) {
      const user = (authenticators[i] as TokenAuthenticator).authenticate(token);
      if (user instanceof Promise) return user.then((u) => u ?? from(i + 1, token));
      if (user) return user;
    }
    return undefined;
  };
  return { authenticate: (token) => from(0, token) };
}

function csv(line: string): string[] {
  const out: string[] = [];
  for (const m of line.matchAll(/(?:^|,)\s*(?:"((?:[^"]|"")*)"|([^,]*))/g))
    out.push(m[1] !== undefined ? m[1].replaceAll('""', '"') : (m[2] ?? "").trim());
  return out;
}
