// OpenAPI documents: /openapi/v3 (an index, and a document per group-version) and /openapi/v2 (one for all), made when first asked for
// and kept until what is served changes.
import { createHash } from "node:crypto";
import { kindType } from "@podwire/api";
import type { ApiResponse } from "../call.ts";
import type { RequestInfo } from "../request/request-info.ts";
import type { Catalogue, Served } from "../resources/catalogue.ts";
import { type Descriptions, loadDescriptions } from "./descriptions.ts";
import { customName } from "./names.ts";
import { pathsOf } from "./paths.ts";
import { type Dialect, type Schema, SchemaSet } from "./schemas.ts";

interface Document {
  body: string;
  etag: string;
}

const INFO = { title: "Kubernetes", version: "v1.34.9" };

export class OpenApi {
  readonly #catalogue: Catalogue;
  #generation = 0;
  #documents = new Map<string, Document>();
  #descriptions: Descriptions | undefined;

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue;
  }

  /** undefined: not a path of mine. */
  answer(info: RequestInfo, accept: string): ApiResponse | undefined {
    const path = info.path.replace(/\/+$/, "");
    if (path === "/openapi/v2") return this.#v2(accept);
    if (path === "/openapi/v3")
      return respond(
        this.#document("index", () => this.#index()),
        "text/plain; charset=utf-8",
      );
    if (!path.startsWith("/openapi/v3/")) return undefined;
    const m = /^\/openapi\/v3\/(?:api\/(v1)|apis\/([^/]+)\/([^/]+))$/.exec(path);
    const group = m?.[1] ? "" : (m?.[2] ?? "");
    const version = m?.[1] ?? m?.[3] ?? "";
    const served = m ? this.#catalogue.inVersion(group, version) : [];
    if (served.length === 0) {
      const plain = this.#plainPaths().includes(path.slice("/openapi/v3/".length));
      if (!plain) return { status: 404, headers: {} };
      return respond(
        this.#document(path, () => ({ openapi: "3.0.0", info: INFO, paths: {} })),
        "application/json",
      );
    }
    const d = this.#document(`v3 ${group}/${version}`, () => this.#groupVersion(served));
    return respond(d, "application/json");
  }

  #index(): unknown {
    const paths: Record<string, unknown> = {};
    const versions = [...this.#catalogue.groups()].flatMap(([g, vs]) => vs.map((v) => (g === "" ? `api/${v}` : `apis/${g}/${v}`)));
    for (const p of [...this.#plainPaths(), ...versions].sort()) {
      // The hash stands for what is served, not for the bytes, so that the index does not build every document.
      const hash = createHash("sha512").update(`${p} ${this.#catalogue.generation}`).digest("hex").toUpperCase();
      paths[p] = { serverRelativeURL: `/openapi/v3/${p}?hash=${hash}` };
    }
    return { paths };
  }

  #plainPaths(): string[] {
    const groups = [...this.#catalogue.groups().keys()].filter((g) => g !== "").map((g) => `apis/${g}`);
    return [".well-known/openid-configuration", "api", "apis", "openid/v1/jwks", "version", ...groups];
  }

  #groupVersion(served: readonly Served[]): unknown {
    const { set, schemaOf } = this.#schemas("v3", served);
    const paths = pathsOf(served, "v3", schemaOf);
    const securitySchemes = {
      BearerToken: { type: "apiKey", description: "Bearer Token authentication", name: "authorization", in: "header" },
    };
    return { openapi: "3.0.0", info: INFO, paths, components: { schemas: sorted(set.schemas), securitySchemes } };
  }

  #v2(accept: string): ApiResponse | undefined {
    const wantsProtobuf = /proto/.test(accept) && !/application\/json/.test(accept) && !/\*\/\*/.test(accept);
    if (wantsProtobuf) return { status: 406, headers: {} };
    const d = this.#document("v2", () => {
      const served = [...this.#catalogue.all()];
      const { set, schemaOf } = this.#schemas("v2", served);
      return { swagger: "2.0", info: INFO, paths: pathsOf(served, "v2", schemaOf), definitions: sorted(set.schemas) };
    });
    return respond(d, "application/json");
  }

  #schemas(dialect: Dialect, served: readonly Served[]) {
    this.#descriptions ??= loadDescriptions();
    const set = new SchemaSet(dialect, this.#descriptions);
    const prefix = dialect === "v3" ? "#/components/schemas/" : "#/definitions/";
    for (const s of served) {
      if (!s.custom) continue;
      for (const [name, schema] of Object.entries(s.custom.openApi?.(dialect) ?? {})) set.schemas[name] = schema as Schema;
    }
    const schemaOf = (group: string, version: string, kind: string): Schema | undefined => {
      const type = kindType(group, version, kind);
      if (type) return set.add(type.ref);
      const name = customName(group, version, kind);
      return set.schemas[name] ? { $ref: `${prefix}${name}` } : undefined;
    };
    for (const ref of ["meta/v1.DeleteOptions", "meta/v1.Status", "meta/v1.WatchEvent"]) set.add(ref);
    return { set, schemaOf };
  }

  #document(id: string, make: () => unknown): Document {
    if (this.#generation !== this.#catalogue.generation) {
      this.#documents.clear();
      this.#generation = this.#catalogue.generation;
    }
    let d = this.#documents.get(id);
    if (!d) {
      const body = JSON.stringify(make());
      d = { body, etag: `"${createHash("sha512").update(body).digest("hex").toUpperCase()}"` };
      this.#documents.set(id, d);
    }
    return d;
  }
}

function sorted<T>(o: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(o).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function respond(d: Document, contentType: string): ApiResponse {
  return { status: 200, headers: { "content-type": contentType, etag: d.etag, vary: "Accept-Encoding, Accept" }, body: d.body };
}
