// The protobuf form of OpenAPI documents, against what gnostic's compiler makes of the same JSON (field numbers of OpenAPIv2.proto).
import { describe, expect, test } from "vitest";
import { parseRequest } from "../request/request-info.ts";
import { Catalogue } from "../resources/catalogue.ts";
import { OpenApi } from "./documents.ts";
import { OPENAPI_V2 } from "./gnostic.ts";
import { encodeOpenApi } from "./protobuf.ts";

const V2 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const V3 = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf";

describe("OpenAPI in protobuf", () => {
  test("a definition with a reference, extensions and required fields", () => {
    const bytes = encodeOpenApi(OPENAPI_V2, {
      swagger: "2.0",
      definitions: { A: { type: "object", required: ["b"], properties: { b: { $ref: "#/definitions/B" } }, "x-k": { a: 1 } } },
    });
    const text = (number: number, s: string) => Buffer.concat([Buffer.from([number * 8 + 2, s.length]), Buffer.from(s)]);
    const nested = (tag: number[], ...parts: Buffer[]) => {
      const body = Buffer.concat(parts);
      return Buffer.concat([Buffer.from([...tag, body.length]), body]);
    };
    const schema = nested(
      [0x12],
      nested([0xb2, 1], text(1, "object")), // type = 22
      Buffer.from([0x9a, 1, 1, 0x62]), // required = 19
      nested([0xca, 1], nested([0x0a], text(1, "b"), nested([0x12], text(1, "#/definitions/B")))), // properties = 25
      nested([0xfa, 1], text(1, "x-k"), nested([0x12], text(2, '{"a":1}\n'))), // vendor_extension = 31
    );
    const want = Buffer.concat([text(1, "2.0"), nested([0x4a], nested([0x0a], text(1, "A"), schema))]);
    expect(Buffer.from(bytes).toString("hex")).toBe(want.toString("hex"));
  });

  test("is negotiated as kube-openapi does", () => {
    const api = new OpenApi(new Catalogue());
    const ask = (path: string, accept: string) => {
      const r = api.answer(parseRequest("GET", path), accept);
      return [r?.status, r?.headers["content-type"]];
    };
    expect(ask("/openapi/v2", V2)).toEqual([200, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"]);
    expect(ask("/openapi/v2", "application/json")).toEqual([200, "application/json"]);
    expect(ask("/openapi/v2", `${V2};q=0.1, */*`)).toEqual([200, "application/json"]);
    expect(ask("/openapi/v2", "text/html")[0]).toBe(406);
    expect(ask("/openapi/v3/apis/apps/v1", V3)).toEqual([200, "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"]);
    expect(ask("/openapi/v3/apis/apps/v1", V2)[0]).toBe(406);
  });
});
