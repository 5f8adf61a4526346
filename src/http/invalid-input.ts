import type { z } from 'zod'
import { HttpProblem, type InputError, type ProblemSlug } from './problems.ts'

/** The errors of one answer, at most: a caller who sends thousands of wrong labels is told about the first. */
const errorsAtMost = 32
/** A name that the caller made up comes back cut to this length. */
const pointerLength = 256

const slugOfPart = {
  body: 'invalid-body',
  querystring: 'invalid-query',
  params: 'invalid-path',
  headers: 'invalid-header',
} as const satisfies Record<string, ProblemSlug>

/** Fields that people look for in the wrong place. */
const elsewhere: Readonly<Record<string, string>> = {
  status: 'is not set here: the status changes by PATCH /incidents/{id}/status',
}

/** What zod found wrong in a part of the request, as a problem that names each field by JSON Pointer (RFC 6901). */
export function invalidInput(part: string, issues: readonly z.core.$ZodIssue[]): HttpProblem {
  const errors = issues.flatMap((issue) => errorsOf(issue)).slice(0, errorsAtMost)
  return new HttpProblem(slugOfPart[part as keyof typeof slugOfPart] ?? 'invalid-body', {
    detail: errors
      .map(({ path, message }) => `${path || 'The body'} ${message}.`)
      .slice(0, 3)
      .join(' '),
    errors,
  })
}

/** A problem about one field. */
export function invalidField(slug: ProblemSlug, path: string, message: string): HttpProblem {
  return new HttpProblem(slug, { detail: `${path} ${message}.`, errors: [{ path, message }] })
}

/** The JSON Pointer of a path of keys. */
export function pointer(path: readonly PropertyKey[]): string {
  return path
    .map((key) => `/${String(key).toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('')
    .slice(0, pointerLength)
}

function errorsOf(issue: z.core.$ZodIssue): InputError[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, errorsAtMost).map((key) => ({
      path: pointer([...issue.path, key]),
      message: Object.hasOwn(elsewhere, key) ? String(elsewhere[key]) : 'is not known here',
    }))
  }
  return [{ path: pointer(issue.path), message: sentencePart(issue.message) }]
}

/** Zod's own messages are sentences («Invalid input: expected string»); ours continue the field's name («must be …»). */
function sentencePart(message: string): string {
  return message
    .replace(/^Invalid input: expected (.*), received (.*)$/, 'must be $1, not $2')
    .replace(/^Invalid option: expected one of (.*)$/, 'must be one of $1')
    .replace(/^Too small: expected (?:number|int) to be >=(\S+)$/, 'must be at least $1')
    .replace(/^Too big: expected (?:number|int) to be <=(\S+)$/, 'must be at most $1')
    .replace(/, not undefined$/, ', but is missing')
}
