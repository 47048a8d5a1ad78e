// Structural schemas: pruning, defaulting, validation.

export { celTypeOf, schemaRuleErrors, validateSchemaRules } from "./rules.ts";
export { applySchemaDefaults, type JsonSchema, prune } from "./schema.ts";
export { smdOfResource } from "./smd.ts";
export { patternOf, validateSchema } from "./validate.ts";
