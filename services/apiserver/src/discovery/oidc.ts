// OpenID Connect discovery of the service account issuer: /.well-known/openid-configuration and /openid/v1/jwks.
import type { ServiceAccountTokens } from "../authentication/service-account-tokens.ts";
import type { PathHandler } from "../handler.ts";
import { jsonResponse } from "../response.ts";

export function oidcPaths(tokens: ServiceAccountTokens | undefined, config: { "advertise-address": string }): PathHandler {
  return (info) => {
    if (!tokens) return undefined;
    const documents = () => tokens.discovery(`https://${config["advertise-address"]}:6443/openid/v1/jwks`);
    if (info.path === "/.well-known/openid-configuration") return jsonResponse(200, documents().configuration);
    if (info.path !== "/openid/v1/jwks") return undefined;
    const r = jsonResponse(200, documents().keys);
    r.headers["content-type"] = "application/jwk-set+json";
    return r;
  };
}
