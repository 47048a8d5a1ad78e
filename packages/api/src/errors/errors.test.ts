import { describe, expect, test } from "vitest";
import { errorText, invalid, notSupported, required, tooMany } from "./field-error.ts";
import { statusErrors } from "./status-error.ts";

describe("errors in Kubernetes' words", () => {
  test("field errors", () => {
    expect(errorText(required("metadata.name", "name or generateName is required"))).toBe(
      "metadata.name: Required value: name or generateName is required",
    );
    expect(errorText(invalid("spec.replicas", -1, "must be greater than or equal to 0"))).toBe(
      "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
    );
    expect(errorText(notSupported("dryRun", ["Foo"], ["All"]))).toBe('dryRun: Unsupported value: ["Foo"]: supported values: "All"');
    expect(errorText(tooMany("a", 3, 1))).toBe("a: Too many: 3: must have at most 1 item");
    expect(errorText(invalid("a", null, "no"))).toBe('a: Invalid value: "null": no');
  });

  test("statuses", () => {
    expect(statusErrors.notFound({ group: "apps", resource: "deployments" }, "d").status).toEqual({
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: 'deployments.apps "d" not found',
      reason: "NotFound",
      details: { name: "d", group: "apps", kind: "deployments" },
      code: 404,
    });
    const two = statusErrors.invalid({ group: "", kind: "Pod" }, "p", [required("a"), required("b")]);
    expect(two.message).toBe('Pod "p" is invalid: [a: Required value, b: Required value]');
    expect(two.status.details?.causes).toHaveLength(2);
    expect(statusErrors.tooLargeResourceVersion(5, 3).message).toBe("Timeout: Too large resource version: 5, current: 3");
  });
});
