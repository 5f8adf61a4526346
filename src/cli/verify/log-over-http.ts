/** A log as a service serves it under `/ledger` (C2SP tlog-tiles, and two routes of our own). */
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import type { LogFiles } from '../../audit/log-verification.ts'
import { hashBytes } from '../../audit/merkle.ts'
import { entriesPath, tilePath } from '../../audit/tiles.ts'

export interface LogService extends LogFiles {
  /** The verifier keys that the service names as its own. */
  readonly keys: () => Promise<readonly string[]>
}

export interface LogServiceOptions {
  /** Where the service is: what comes before `/ledger`. */
  readonly url: URL
  readonly accessKey: string | undefined
  readonly signal: AbortSignal
}

const requestTimeoutMs = 60_000
const mostAttempts = 6
const firstPauseMs = 200
const longestPauseMs = 10_000
const notesAPage = 1_000
/** A full bundle of entries of the greatest length, and some more. */
const longestAnswerBytes = 20 * 1024 * 1024

const notesPage = z.object({
  items: z.array(z.object({ size: z.int().min(0).nullable(), note: z.string() })),
  nextCursor: z.string().nullable(),
})
const consistencyAnswer = z.object({ proof: z.array(z.base64()) })

/** @throws Error of one line, from its methods, where the service cannot be asked, or answers what makes no sense. */
export function logOverHttp({ url, accessKey, signal }: LogServiceOptions): LogService {
  const base = url.href.replace(/\/$/, '')
  const headers: Record<string, string> = accessKey === undefined ? {} : { 'x-access-key': accessKey }

  return {
    checkpoint: async () => text(await get('/ledger/checkpoint')),
    keys: async () => (text(await get('/ledger/key')) ?? '').split('\n').filter((line) => line !== ''),
    entries: (index, width) => get(`/ledger/${entriesPath(index, width)}`),
    tile: (level, index, width) => get(`/ledger/${tilePath({ level, index, width })}`),
    async *notes() {
      for (let cursor: string | null = ''; cursor !== null; ) {
        const path: string = `/ledger/checkpoints?limit=${notesAPage}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`
        const page: z.output<typeof notesPage> = json(path, notesPage, await get(path))
        yield page.items
        cursor = page.nextCursor
      }
    },
    async consistency(from, to) {
      const path = `/ledger/consistency?from=${from}&to=${to}`
      const bytes = await get(path)
      if (bytes === undefined) return undefined
      const proof = json(path, consistencyAnswer, bytes).proof.map((hash) => Buffer.from(hash, 'base64'))
      return proof.every((hash) => hash.length === hashBytes) ? proof : undefined
    },
  }

  /** Undefined where there is no such file. Asks again where the service is busy or the connection breaks. */
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

function text(body: Buffer | undefined): string | undefined {
  return body?.toString('utf8')
}

function json<Shape extends z.ZodType>(
  path: string,
  shape: Shape,
  body: Buffer | undefined,
): z.output<Shape> {
  if (body === undefined) throw new Error(`${path}: there is no such route: is this the address of a ledger?`)
  let document: unknown
  try {
    document = JSON.parse(body.toString('utf8'))
  } catch {
    throw new Error(`${path}: the answer is not JSON`)
  }
  const read = shape.safeParse(document)
  if (read.success) return read.data
  throw new Error(`${path}: the answer is not of the documented form`)
}
