// Users that a front proxy has authenticated: a client certificate of the request-header authority with an allowed name, and the user in
// X-Remote-User, -Group, -Uid and -Extra-* (apiserver/pkg/authentication/request/headerrequest).
// Invariant: without that certificate the headers mean nothing.
import { X509Certificate } from "node:crypto";
import type { ApiRequest, User } from "../call.ts";
import { FRONT_PROXY_NAME } from "../transport/pki.ts";
import { authenticated, certificateUser } from "./authenticator.ts";
import { allValues, extraValues } from "./header-values.ts";

/** Stands for the certificate of a front proxy, which is no user of its own. */
export const FRONT_PROXY = Symbol("front proxy");
const EXTRA = "x-remote-extra-";

/** Whose certificate (DER, verified against the union of both authorities) it is: a user's, a front proxy's, or nobody's. */
export function certificateHolder(der: Uint8Array, requestHeaderCa: string): User | typeof FRONT_PROXY | undefined {
  const cert = new X509Certificate(der);
  const ca = new X509Certificate(requestHeaderCa);
  if (!cert.checkIssued(ca) || !cert.verify(ca.publicKey)) return certificateUser(der);
  return cert.subject.split("\n").includes(`CN=${FRONT_PROXY_NAME}`) ? FRONT_PROXY : undefined;
}

/** The user in the headers; undefined when they name none. */
export function remoteUser(headers: ApiRequest["headers"]): User | undefined {
  const name = allValues(headers["x-remote-user"])[0] ?? "";
  if (name === "") return undefined;
  const extra = extraValues(headers, EXTRA);
  const uid = allValues(headers["x-remote-uid"])[0];
  return authenticated({
    name,
    groups: allValues(headers["x-remote-group"]),
    ...(uid ? { uid } : {}),
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  });
}
