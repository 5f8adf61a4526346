/** A log as a service serves it under `/ledger` (C2SP tlog-tiles, and two routes of our own). */
import { z } from 'zod'
import type { LogFiles } from '../../audit/log-verification.ts'
import { hashBytes } from '../../audit/merkle.ts'
import { entriesPath, tilePath } from '../../audit/tiles.ts'
import type { Ask } from '../service-client.ts'

export interface LogService extends LogFiles {
  /** The verifier keys that the service names as its own. */
  readonly keys: () => Promise<readonly string[]>
}

const notesAPage = 1_000
const notesPage = z.object({
  items: z.array(z.object({ size: z.int().min(0).nullable(), note: z.string() })),
  nextCursor: z.string().nullable(),
})
const consistencyAnswer = z.object({ proof: z.array(z.base64()) })

/** @throws Error of one line, from its methods, where the service cannot be asked, or answers what makes no sense. */
export function logOverHttp(get: Ask): LogService {
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
