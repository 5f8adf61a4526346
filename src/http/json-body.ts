import { isUtf8 } from 'node:buffer'
import { HttpProblem } from './problems.ts'

/**
 * The JSON value of a body in UTF-8. A member named `__proto__` stays an ordinary one: the schemas refuse it by name.
 * @throws HttpProblem `malformed-json`.
 */
export function parseJsonBody(bytes: Buffer): unknown {
  if (bytes.length === 0) throw malformed('The body is empty.')
  if (!isUtf8(bytes)) throw malformed('The body is not UTF-8.')
  try {
    return JSON.parse(bytes.toString())
  } catch {
    throw malformed('The body is not well-formed JSON.') // JSON.parse's own message quotes the body
  }
}

const malformed = (detail: string) => new HttpProblem('malformed-json', { detail })
