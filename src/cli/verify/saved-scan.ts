/** Where an interrupted verification stands, in a file: a line of JSON, then the tables. */
import { hash } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import type { ScanState } from '../../audit/log-scan.ts'

export interface SavedScan {
  /** Undefined where there is none, or one of something else. */
  readonly load: () => Promise<ScanState | undefined>
  readonly save: (state: ScanState) => Promise<void>
  readonly remove: () => Promise<void>
}

const header = z.strictObject({
  format: z.literal('incident-ledger/verification@1'),
  of: z.string(),
  size: z.int().min(0),
  notesMet: z.int().min(0),
  peaks: z.array(z.base64()),
  levels: z.array(z.int().min(0)),
  streams: z.int().min(0),
  ids: z.int().min(0),
  sha256: z.string(),
})

/** @param of what is verified, and by what: a state of anything else is passed over. */
export function savedScan(file: string, of: string): SavedScan {
  return {
    async load() {
      const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined
        throw error
      })
      return bytes && stateOf(bytes, of)
    },
    async save({ size, notesMet, peaks, levels, streams, ids }) {
      const tables = Buffer.concat([...levels, streams, ids])
      const head: z.input<typeof header> = {
        format: 'incident-ledger/verification@1',
        of,
        size,
        notesMet,
        peaks: peaks.map((peak) => peak.toString('base64')),
        levels: levels.map(({ length }) => length),
        streams: streams.length,
        ids: ids.length,
        sha256: hash('sha256', tables, 'hex'),
      }
      const next = `${file}.next`
      await writeFile(next, Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), tables]), {
        mode: 0o600,
      })
      await rename(next, file)
    },
    remove: () => rm(file, { force: true }),
  }
}

function stateOf(bytes: Buffer, of: string): ScanState | undefined {
  const end = bytes.indexOf('\n')
  const read = header.safeParse(parsed(bytes.toString('utf8', 0, Math.max(end, 0))))
  if (!read.success || read.data.of !== of) return undefined
  const { size, notesMet, peaks, levels, streams, ids, sha256 } = read.data
  const tables = bytes.subarray(end + 1)
  if (hash('sha256', tables, 'hex') !== sha256) return undefined
  let at = 0
  const next = (length: number) => {
    const part = tables.subarray(at, at + length)
    at += length
    return part
  }
  return {
    size,
    notesMet,
    peaks: peaks.map((peak) => Buffer.from(peak, 'base64')),
    levels: levels.map(next),
    streams: next(streams),
    ids: next(ids),
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
