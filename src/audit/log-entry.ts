/** An entry of the log, read by those who verify it: canonical JSON (RFC 8785) of an event as it is stored, without its box. */
import canonicalize from 'canonicalize'

export interface LogEntry {
  readonly stream: string
  readonly revision: number
  readonly id: string
  readonly type: string
  readonly data: unknown
  readonly metadata: unknown
}

const fields = 'data,id,metadata,revision,stream,type'

/** Undefined where it is none, or where it could be read in two ways: a field twice, a space, a lone surrogate, which bytes cannot have. */
export function readEntry(text: string): LogEntry | undefined {
  const value = text.isWellFormed() ? parsed(text) : undefined
  if (!isObject(value) || Object.keys(value).join() !== fields) return undefined
  const { stream, revision, id, type, data, metadata } = value
  if (typeof stream !== 'string' || typeof id !== 'string' || typeof type !== 'string') return undefined
  if (typeof revision !== 'number' || !Number.isSafeInteger(revision) || revision < 0) return undefined
  // Names like "10" change their place in an object, so the short way says no to some that are right.
  if (JSON.stringify(value) !== text && written(value) !== text) return undefined
  return { stream, revision, id, type, data, metadata }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function written(value: unknown): string | undefined {
  try {
    return canonicalize(value)
  } catch {
    return undefined // it has no canonical form: a number beyond the doubles
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
