import { isUtf8 } from 'node:buffer'
import type { IHeaders } from 'kafkajs'
import { z } from 'zod'
import { Rejection, schemaRejection } from './rejection.ts'
import { eventAttributes } from './schemas.ts'

/** What a record says about its report, and the report's JSON, not yet looked at. */
export interface Envelope {
  /** Absent where the record is no CloudEvent. */
  readonly attributes?: z.output<typeof eventAttributes>
  /** The W3C header that tracing libraries set. */
  readonly traceparent?: string | undefined
  readonly value: unknown
}

/** In the JSON format `data` or `data_base64` holds the report. */
const structuredData = z.object({
  datacontenttype: z.string().optional(),
  data: z.unknown().optional(),
  data_base64: z.base64('must be Base64').optional(),
})

/**
 * Reads a record's value and headers: a CloudEvent 1.0 in structured or in binary mode (its Kafka protocol binding, 3), else plain JSON.
 * @throws Rejection
 */
export function openEnvelope(value: Buffer, headers: IHeaders = {}): Envelope {
  const header = headerReader(headers)
  const contentType = header('content-type')
  const traceparent = header('traceparent')
  if (/^application\/cloudevents/i.test(contentType ?? '')) {
    requireType(contentType, structuredType)
    return { ...openStructured(jsonOf(value, 'The value')), traceparent }
  }
  requireType(contentType, jsonType)
  if (!Object.keys(headers).some((name) => name.toLowerCase().startsWith(prefix))) {
    return { value: jsonOf(value, 'The value'), traceparent }
  }
  const given = Object.keys(eventAttributes.shape).map((name) => [name, header(`${prefix}${name}`)])
  return {
    attributes: attributesOf(Object.fromEntries(given)),
    value: jsonOf(value, 'The value'),
    traceparent,
  }
}

const prefix = 'ce_'

function openStructured(event: unknown): Envelope {
  const attributes = attributesOf(event)
  const { success, data: parts, error } = structuredData.safeParse(event)
  if (!success) throw schemaRejection('invalid-cloudevent', 'The CloudEvent', error.issues)
  requireType(parts.datacontenttype, jsonType)
  if (parts.data_base64 === undefined) return { attributes, value: parts.data }
  return { attributes, value: jsonOf(Buffer.from(parts.data_base64, 'base64'), 'data_base64') }
}

function attributesOf(given: unknown): z.output<typeof eventAttributes> {
  const { success, data, error } = eventAttributes.safeParse(given)
  if (!success) throw schemaRejection('invalid-cloudevent', 'The CloudEvent', error.issues)
  return data
}

function jsonOf(bytes: Buffer, what: string): unknown {
  if (!isUtf8(bytes)) throw new Rejection('not-json', `${what} is not UTF-8.`)
  try {
    return JSON.parse(bytes.toString())
  } catch {
    throw new Rejection('not-json', `${what} is not well-formed JSON.`) // JSON.parse's own message quotes the value
  }
}

const structuredType = /^application\/cloudevents\+json$/
const jsonType = /^application\/(json|[\w.-]+\+json)$/

/** None counts as JSON. */
function requireType(contentType: string | undefined, wanted: RegExp): void {
  if (contentType === undefined) return
  const [type = '', ...parameters] = contentType.toLowerCase().split(';')
  const charset = parameters.map((text) => /^\s*charset\s*=\s*"?([^"\s]*)"?\s*$/.exec(text)?.[1])
  const known = charset.every((name) => name === undefined || name === 'utf-8' || name === 'utf8')
  if (known && wanted.test(type.trim())) return
  throw new Rejection(
    'unsupported-content-type',
    'The content-type must be application/json or application/cloudevents+json, in UTF-8, or absent.',
  )
}

/** Reads headers as text, whatever the case of their names. One that stands there twice says nothing that can be relied on. */
function headerReader(headers: IHeaders): (name: string) => string | undefined {
  const named = Map.groupBy(Object.entries(headers), ([name]) => name.toLowerCase())
  return (name) => {
    const values = named.get(name)?.flatMap(([, value]) => value ?? []) ?? []
    const [first] = values
    if (first === undefined) return undefined
    const bytes = Buffer.from(first)
    if (values.length === 1 && isUtf8(bytes)) return bytes.toString()
    const problem = values.length > 1 ? 'stands there more than once' : 'is not UTF-8'
    throw new Rejection('invalid-cloudevent', `The header ${name} ${problem}.`)
  }
}
