// Where the API is and who one is: from a kubeconfig file, or inside a pod from its ServiceAccount's files
// (client-go's clientcmd and rest.InClusterConfig). Certificates and tokens may stand in the file or beside it.
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseYaml } from "@podwire/api";
import { PodwireError, reasonOf } from "@podwire/base";
import type { RestOptions } from "./rest-client.ts";

export class KubeconfigError extends PodwireError {}

export type Credentials = Pick<RestOptions, "server" | "ca" | "cert" | "key" | "token">;

/** The folder that the kubelet mounts into every container. */
export const SERVICE_ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The server and the credential of a context, by default the current one. Throws KubeconfigError. */
export function credentialsOfKubeconfig(path: string, context?: string): Credentials {
  let config: any;
  try {
    config = parseYaml(readFileSync(path)).value;
  } catch (e) {
    throw new KubeconfigError(`cannot read the kubeconfig ${path}: ${reasonOf(e)}`, { cause: e });
  }
  const named = (list: string, name: unknown): any => {
    const found = (config?.[list] ?? []).find((x: any) => x.name === name);
    if (!found) throw new KubeconfigError(`the kubeconfig ${path} has no ${JSON.stringify(name)} under ${list}`);
    return found;
  };
  const chosen = named("contexts", context ?? config?.["current-context"]).context ?? {};
  const cluster = named("clusters", chosen.cluster).cluster ?? {};
  const user = named("users", chosen.user).user ?? {};
  const bytes = (holder: any, name: string): Buffer | undefined => {
    if (holder[`${name}-data`] !== undefined) return Buffer.from(holder[`${name}-data`], "base64");
    if (holder[name] === undefined) return undefined;
    return readFileSync(resolve(dirname(path), holder[name]));
  };
  const [ca, cert, key] = [bytes(cluster, "certificate-authority"), bytes(user, "client-certificate"), bytes(user, "client-key")];
  const tokenFile: string | undefined = user.tokenFile;
  const token = tokenFile === undefined ? user.token : () => readFileSync(resolve(dirname(path), tokenFile), "utf8").trim();
  return {
    server: String(cluster.server ?? ""),
    ...(ca ? { ca } : {}),
    ...(cert ? { cert } : {}),
    ...(key ? { key } : {}),
    ...(token === undefined ? {} : { token }),
  };
}

/** The API as a pod sees it; `env` is the container's environment. Throws KubeconfigError outside a cluster. */
export function inClusterCredentials(
  env: Readonly<Record<string, string | undefined>>,
  folder: string = SERVICE_ACCOUNT_FOLDER,
): Credentials {
  const host = env["KUBERNETES_SERVICE_HOST"];
  const port = env["KUBERNETES_SERVICE_PORT"];
  if (!host || !port) throw new KubeconfigError("not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined");
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    ca: readFileSync(`${folder}/ca.crt`),
    token: () => readFileSync(`${folder}/token`, "utf8").trim(),
  };
}
