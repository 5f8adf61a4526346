/** A service of ours, as commands ask it over HTTP. */
import { setTimeout as pause } from 'node:timers/promises'

export interface ServiceAddress {
  readonly url: URL
  readonly accessKey: string | undefined
}

/**
 * What is at a path; undefined where there is nothing. Asks again where the service is busy or the connection breaks.
 * @throws Error of one line where it cannot be asked, or refuses.
 */
export type Ask = (path: string) => Promise<Buffer | undefined>

const requestTimeoutMs = 60_000
const mostAttempts = 6
const firstPauseMs = 200
const longestPauseMs = 10_000
/** A full bundle of entries of the greatest length, or of an incident with its proofs, and some more. */
const longestAnswerBytes = 64 * 1024 * 1024

export function serviceClient({
  url,
  accessKey,
  signal,
}: ServiceAddress & { readonly signal: AbortSignal }): Ask {
  const base = url.href.replace(/\/$/, '')
  const headers: Record<string, string> = accessKey === undefined ? {} : { 'x-access-key': accessKey }
  return get

  async function get(path: string): Promise<Buffer | undefined> {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await asked(path)
      if (!('retry' in answer)) return answer.body
      if (attempt === mostAttempts) throw new Error(`${base}${path}: ${answer.retry}`)
      await pause(answer.afterMs ?? Math.min(firstPauseMs * 2 ** attempt, longestPauseMs), undefined, {
        signal,
      })
    }
  }

  async function asked(
    path: string,
  ): Promise<{ body: Buffer | undefined } | { retry: string; afterMs?: number }> {
    try {
      const response = await fetch(`${base}${path}`, {
        headers,
        // The key is for this service, and for no other that it might name.
        redirect: 'error',
        signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]),
      })
      const body = await bodyOf(response)
      if (response.ok) return { body }
      if (response.status === 404) return { body: undefined }
      if (response.status === 429 || response.status >= 500)
        return { retry: said(response), ...waitOf(response) }
      throw new Refusal(`${base}${path}: ${said(response)}${hintOf(response.status)}`)
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof Refusal) throw error
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
      return { retry: cause instanceof Error ? cause.message : String(cause) }
    }
  }
}

/** What asking again does not change. */
class Refusal extends Error {}

async function bodyOf(response: Response): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > longestAnswerBytes) throw new Refusal(`${response.url}: the answer does not end`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
}

function said({ status, statusText }: Response): string {
  return `the service answered ${status} ${statusText}`.trimEnd()
}

function hintOf(status: number): string {
  return status === 401 || status === 403
    ? ': give a key that may read the ledger with --access-key-file'
    : ''
}

function waitOf(response: Response): { afterMs?: number } {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  return Number.isFinite(seconds) ? { afterMs: Math.min(seconds * 1_000, longestPauseMs) } : {}
}
