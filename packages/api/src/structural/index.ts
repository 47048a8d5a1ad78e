// Structural schemas: pruning, defaulting, validation.
export { applySchemaDefaults, type JsonSchema, prune } from "./schema.ts";
export { smdOfResource } from "./smd.ts";
export { patternOf, validateSchema } from "./validate.ts";
