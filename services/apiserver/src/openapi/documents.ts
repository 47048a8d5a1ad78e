// OpenAPI documents: /openapi/v3 (an index, and a document per group-version) and /openapi/v2 (one for all), made when first asked for
// and kept until what is served changes; JSON, or gnostic's protobuf for clients that ask for it.
import { createHash } from "node:crypto";
import { kindType } from "@podwire/api";
import type { RemoteVersion } from "../aggregation/aggregator.ts";
import type { ApiResponse } from "../call.ts";
import type { RequestInfo } from "../request/request-info.ts";
import type { Catalogue, Served } from "../resources/catalogue.ts";
import { type Descriptions, loadDescriptions } from "./descriptions.ts";
import { type MessageTable, OPENAPI_V2, OPENAPI_V3 } from "./gnostic.ts";
import { customName } from "./names.ts";
import { pathsOf } from "./paths.ts";
import { encodeOpenApi } from "./protobuf.ts";
import { type Dialect, type Schema, SchemaSet } from "./schemas.ts";

interface Document {
  body: string;
  etag: string;
  /** Encoded when first asked for. */
  protobuf?: Uint8Array;
}

/** A representation of documents: how it is asked for and what it is called in the answer. */
interface Format {
  accepts: readonly string[];
  contentType: string;
  table?: MessageTable;
}

const JSON_FORMAT: Format = { accepts: ["application/json"], contentType: "application/json" };
const protobufFormat = (version: string, table: MessageTable): Format => ({
  accepts: [
    `application/com.github.proto-openapi.spec.${version}@v1.0+protobuf`,
    `application/com.github.proto-openapi.spec.${version}.v1.0+protobuf`,
  ],
  contentType: `application/com.github.proto-openapi.spec.${version}.v1.0+protobuf`,
  table,
});
const FORMATS: Readonly<Record<Dialect, readonly Format[]>> = {
  v2: [JSON_FORMAT, protobufFormat("v2", OPENAPI_V2)],
  v3: [JSON_FORMAT, protobufFormat("v3", OPENAPI_V3)],
};

/** The first clause of an Accept header that some format serves; undefined: 406. */
function formatOf(dialect: Dialect, accept: string): Format | undefined {
  if (accept.trim() === "") return JSON_FORMAT;
  const clauses = accept.split(",").map((c, index) => {
    const [type = "", ...params] = c.split(";").map((p) => p.trim().toLowerCase());
    const q = Number(params.find((p) => p.startsWith("q="))?.slice(2) ?? 1);
    return { type, q: Number.isFinite(q) ? q : 0, index };
  });
  for (const c of clauses.sort((a, b) => b.q - a.q || a.index - b.index)) {
    const f = c.type === "*/*" || c.type === "application/*" ? JSON_FORMAT : FORMATS[dialect].find((x) => x.accepts.includes(c.type));
    if (f) return f;
  }
  return undefined;
}

const INFO = { title: "Kubernetes", version: "v1.34.9" };

export class OpenApi {
  readonly #catalogue: Catalogue;
  /** Group-versions of other servers; their documents of version 3 are theirs to answer. */
  readonly #remotes: () => readonly RemoteVersion[];
  #generation = 0;
  #documents = new Map<string, Document>();
  #descriptions: Descriptions | undefined;

  constructor(catalogue: Catalogue, remotes: () => readonly RemoteVersion[] = () => []) {
    this.#catalogue = catalogue;
    this.#remotes = remotes;
  }

  /** undefined: not a path of mine. */
  answer(info: RequestInfo, accept: string): ApiResponse | undefined {
    const path = info.path.replace(/\/+$/, "");
    if (path === "/openapi/v2") return this.#v2(accept);
    if (path === "/openapi/v3")
      return respond(
        this.#document("index", () => this.#index()),
        { ...JSON_FORMAT, contentType: "text/plain; charset=utf-8" },
      );
    if (!path.startsWith("/openapi/v3/")) return undefined;
    const m = /^\/openapi\/v3\/(?:api\/(v1)|apis\/([^/]+)\/([^/]+))$/.exec(path);
    const group = m?.[1] ? "" : (m?.[2] ?? "");
    const version = m?.[1] ?? m?.[3] ?? "";
    const served = m ? this.#catalogue.inVersion(group, version) : [];
    const format = formatOf("v3", accept);
    if (!format) return { status: 406, headers: {} };
    if (served.length === 0) {
      const plain = this.#plainPaths().includes(path.slice("/openapi/v3/".length));
      if (!plain) return { status: 404, headers: {} };
      return respond(
        this.#document(path, () => ({ openapi: "3.0.0", info: INFO, paths: {} })),
        format,
      );
    }
    const d = this.#document(`v3 ${group}/${version}`, () => this.#groupVersion(served));
    return respond(d, format);
  }

  #index(): unknown {
    const paths: Record<string, unknown> = {};
    const versions = [...this.#catalogue.groups()].flatMap(([g, vs]) => vs.map((v) => (g === "" ? `api/${v}` : `apis/${g}/${v}`)));
    for (const p of [...this.#plainPaths(), ...versions].sort()) {
      // The hash stands for what is served, not for the bytes, so that the index does not build every document.
      const hash = createHash("sha512").update(`${p} ${this.#catalogue.generation}`).digest("hex").toUpperCase();
      paths[p] = { serverRelativeURL: `/openapi/v3/${p}?hash=${hash}` };
    }
    for (const { group, version, documents } of this.#remotes()) {
      if (documents?.openApiHash === undefined) continue;
      const p = `apis/${group}/${version}`;
      paths[p] = { serverRelativeURL: `/openapi/v3/${p}?hash=${documents.openApiHash}` };
    }
    return { paths: sorted(paths) };
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
    const format = formatOf("v2", accept);
    if (!format) return { status: 406, headers: {} };
    const d = this.#document("v2", () => {
      const served = [...this.#catalogue.all()];
      const { set, schemaOf } = this.#schemas("v2", served);
      const paths: Record<string, unknown> = pathsOf(served, "v2", schemaOf);
      const definitions: Record<string, unknown> = { ...set.schemas };
      for (const { documents } of this.#remotes()) {
        Object.assign(paths, documents?.v2?.paths);
        // Of two definitions with one name the first is meant: what servers share is the same everywhere.
        for (const [name, d] of Object.entries(documents?.v2?.definitions ?? {})) definitions[name] ??= d;
      }
      return { swagger: "2.0", info: INFO, paths, definitions: sorted(definitions) };
    });
    return respond(d, format);
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

function respond(d: Document, format: Format): ApiResponse {
  const headers = { "content-type": format.contentType, etag: d.etag, vary: "Accept-Encoding, Accept" };
  if (!format.table) return { status: 200, headers, body: d.body };
  d.protobuf ??= encodeOpenApi(format.table, JSON.parse(d.body));
  return { status: 200, headers, body: d.protobuf };
}
