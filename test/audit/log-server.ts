import { createServer, type IncomingMessage } from 'node:http'
import { readTilePath } from '../../src/audit/tiles.ts'
import type { SampleLog } from './sample-log.ts'

export interface LogServer extends AsyncDisposable {
  readonly url: URL
  /** Paths that were asked for, with their queries, and the access key that came with each. */
  readonly asked: readonly { readonly path: string; readonly accessKey: string | undefined }[]
}

/** Serves a sample log as the service would. `mishap`: a status to answer a request with instead, or `break` for no answer at all. */
export async function serveLog(
  log: SampleLog,
  keys: readonly string[],
  mishap: (path: string, nth: number) => number | 'break' | undefined = () => undefined,
): Promise<LogServer> {
  const asked: { path: string; accessKey: string | undefined }[] = []
  const server = createServer(async (request, response) => {
    const path = request.url ?? ''
    asked.push({ path, accessKey: keyOf(request) })
    const fault = mishap(path, asked.length)
    if (fault === 'break') return response.destroy()
    const body = fault === undefined ? await answerOf(log, keys, new URL(path, 'http://log')) : undefined
    response.writeHead(fault ?? (body === undefined ? 404 : 200), { 'retry-after': '0' }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    asked,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const notesAPage = 3

async function answerOf(
  { files, notes }: SampleLog,
  keys: readonly string[],
  { pathname, searchParams }: URL,
): Promise<string | Buffer | undefined> {
  const number = (name: string) => Number(searchParams.get(name) ?? 0)
  switch (pathname) {
    case '/ledger/checkpoint':
      return files.checkpoint()
    case '/ledger/key':
      return `${keys.join('\n')}\n`
    case '/ledger/checkpoints': {
      const at = number('cursor')
      const end = at + notesAPage
      const nextCursor = end < notes.length ? String(end) : null
      return JSON.stringify({ items: notes.slice(at, end), nextCursor })
    }
    case '/ledger/consistency': {
      const proof = await files.consistency(number('from'), number('to'))
      return proof && JSON.stringify({ proof: proof.map((hash) => hash.toString('base64')) })
    }
  }
  const tile = readTilePath(pathname.replace('/ledger/tile/', ''))
  if (tile === undefined) return undefined
  const { level, index, width } = tile
  return level === 'entries' ? files.entries(index, width) : files.tile(level, index, width)
}

function keyOf({ headers }: IncomingMessage): string | undefined {
  const key = headers['x-access-key']
  return typeof key === 'string' ? key : undefined
}
