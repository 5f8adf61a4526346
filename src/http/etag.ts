/** Entity tags: an incident's is its revision, so that If-Match says which revision a change was decided on. */
import type { IncomingHttpHeaders } from 'node:http'
import { invalidField } from './invalid-input.ts'

export function etagOf(revision: number): string {
  return `"${revision}"`
}

/**
 * The revision that If-Match pins; undefined for none, and for `*`, which any incident meets.
 * @throws HttpProblem for any other form: a weak tag never matches, and a list would be a guess.
 */
export function expectedRevision(headers: IncomingHttpHeaders): number | undefined {
  const value = headers['if-match']
  if (value === undefined || value === '*') return undefined
  const revision = /^"(\d{1,9})"$/.exec(value)?.[1]
  if (revision === undefined) {
    throw invalidField('invalid-header', '/if-match', 'must be one revision in quotes, such as "3", or *')
  }
  return Number(revision)
}

/** Whether If-None-Match names the revision: the caller has it already. Weak comparison (RFC 9110, 13.1.2). */
export function isKnownToCaller(headers: IncomingHttpHeaders, revision: number): boolean {
  const value = headers['if-none-match']
  if (value === undefined) return false
  const etag = etagOf(revision)
  return value.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag)
}
