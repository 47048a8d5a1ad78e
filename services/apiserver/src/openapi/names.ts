// Names of custom kinds in OpenAPI documents.

/** The group's labels backwards, version, kind: "com.example.v1.Widget". */
export function customName(group: string, version: string, kind: string): string {
  return `${group.split(".").reverse().join(".")}.${version}.${kind}`;
}
