// api: Kubernetes' API as data and pure functions. The one door of the package.

export * from "./body/decode-body.ts";
export * from "./body/json-text.ts";
export { applyDefaults } from "./defaults/index.ts";
export * from "./errors/field-error.ts";
export * from "./errors/status-error.ts";
export type * from "./generated/types/index.ts";
export * from "./kube-object.ts";
export * from "./meta/image.ts";
export * from "./meta/int-or-string.ts";
export * from "./meta/names.ts";
export * from "./meta/quantity.ts";
export * from "./meta/time.ts";
export * from "./patch/json-patch.ts";
export * from "./patch/merge-patch.ts";
export * from "./patch/patch-object.ts";
export { applyStrategicMergePatch } from "./patch/strategic-merge-patch.ts";
export * from "./resources.ts";
export { Conformer, conform, DecodeError } from "./schema/conform.ts";
export * from "./schema/registry.ts";
export * from "./selectors/field-selector.ts";
export * from "./selectors/label-selector.ts";
export { prepareForCreate, prepareForUpdate } from "./strategy/prepare.ts";
export { podQosClass } from "./strategy/qos.ts";
export { type Cell, humanDuration, type PrintContext } from "./table/cells.ts";
export { type CustomColumns, type IncludeObject, printTable, tableColumns } from "./table/print-table.ts";
export * from "./wire/protobuf-decode.ts";
export * from "./wire/protobuf-encode.ts";
