import { z } from 'zod'

export type JsonSchema = z.core.JSONSchema.BaseSchema

/** A zod schema as JSON Schema draft 7, which is what AsyncAPI 3 is written in: as a sender writes it, and in one piece. */
export function jsonSchemaOf(schema: z.ZodType, more: JsonSchema = {}): JsonSchema {
  const { $schema: _dialect, ...whole } = z.toJSONSchema(schema, {
    target: 'draft-7',
    io: 'input',
    reused: 'inline',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      // A preprocessing step says nothing about what it takes; what it hands on does.
      const { def } = zodSchema._zod
      if (def.type === 'pipe' && def.in._zod.def.type === 'transform') {
        Object.assign(jsonSchema, jsonSchemaOf(def.out as z.ZodType)) // zod's own core type of a schema
      }
    },
  })
  return { ...whole, ...more }
}

/** Headers: all of Kafka's are bytes, and ours are text. */
export function headersOf(schema: z.ZodObject, prefix = ''): JsonSchema {
  const { properties = {}, required = [] } = jsonSchemaOf(schema)
  return {
    type: 'object',
    properties: Object.fromEntries(
      Object.entries(properties).map(([name, property]) => [`${prefix}${name}`, property]),
    ),
    required: required.map((name) => `${prefix}${name}`),
  }
}
