import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { sizeOfNote } from '../../audit/checkpoint.ts'
import { readTilePath, tileWidth } from '../../audit/tiles.ts'
import type { Keyring } from '../../ledger/ledger.ts'
import type { Signed, SignedLog } from '../../projections/notary/signed-log.ts'
import { checkpointsAnswer, consistencyAnswer } from '../answers.ts'
import { cursorsOf } from '../cursor.ts'
import type { Access } from '../guard.ts'
import type { App } from '../instance.ts'
import { invalidField } from '../invalid-input.ts'
import { operation } from '../operation.ts'
import { cursorParameter, keysetPage, pageSize } from '../pages.ts'
import { HttpProblem } from '../problems.ts'

export interface SignedLogSeams {
  readonly signedLog: SignedLog
  readonly keyring: Pick<Keyring, 'sign' | 'verify'>
  /** Whether callers need no key: nothing here is secret. */
  readonly isPublic: boolean
}

const plainText = 'text/plain; charset=utf-8'
const year = 31_536_000
/** Entries are the ledger carried away: who reads them is on record. */
const common = { tag: 'Audit', audited: true } as const
const unavailable = ['read-model-unavailable', 'query-timeout'] as const

/** GET /ledger/…: the Merkle log over all events, as C2SP tlog-tiles gives it. */
export function signedLogRoutes(app: App, seams: SignedLogSeams): void {
  const { signedLog, isPublic } = seams
  const access: Access = isPublic ? 'public' : 'audit'
  /** What a key opens is not for a shared cache. */
  const cached = (reply: FastifyReply, directives: string) =>
    isPublic
      ? reply.header('cache-control', `public, ${directives}`)
      : reply
          .header('cache-control', `private, ${directives}`)
          .header('vary', 'X-Access-Key, Authorization, Signature-Input')

  newestNote(app, signedLog, access, cached)
  tiles(app, signedLog, access, cached)
  consistency(app, signedLog, access, cached)
  allNotes(app, seams, access, cached)
}

type Cached = (reply: FastifyReply, directives: string) => FastifyReply

function newestNote(app: App, signedLog: SignedLog, access: Access, cached: Cached): void {
  const described = (summary: string, description: string, answer: string) =>
    operation(
      {
        ...common,
        access,
        summary,
        description,
        answers: { 200: { description: answer, schema: z.string(), mediaType: 'text/plain' } },
        problems: ['not-yet-signed', ...unavailable],
      },
      {},
    )
  const checkpoint = described(
    'The newest signed note over the ledger',
    'A checkpoint as a signed note (C2SP tlog-checkpoint): the name of the ledger, how many events it has, the root of the Merkle tree over them. A new one comes within a second or so of an event.',
    'The note.',
  )
  app.get('/ledger/checkpoint', checkpoint, async (_request, reply) => {
    const { note } = await requireSigned(signedLog)
    return cached(reply, 'no-cache').type(plainText).send(note)
  })

  const key = described(
    'The keys to check notes with',
    'Verifier keys as C2SP signed-note gives them, a line each: the current one first, then those before it. Learn them once, over a way that you trust.',
    'The keys.',
  )
  app.get('/ledger/key', key, async (_request, reply) => {
    const { verifierKeys } = await requireSigned(signedLog)
    return cached(reply, 'no-cache').type(plainText).send(verifierKeys)
  })
}

const tileParams = z.object({
  '*': z
    .string()
    .describe(
      '`<level>/<index>`, or `entries/<index>`; the index in groups of three digits as C2SP tlog-tiles writes it. With `.p/<width>`: the tile while it has so many.',
    )
    .meta({ examples: ['0/000.p/1'] }),
})

function tiles(app: App, signedLog: SignedLog, access: Access, cached: Cached): void {
  const described = operation(
    {
      ...common,
      access,
      summary: 'A tile of the Merkle tree, or of its entries',
      description:
        'Up to 256 hashes of the tree, or up to 256 entries, each with its length before it (C2SP tlog-tiles). An entry is an event as canonical JSON, without what is sealed. A tile never changes.',
      answers: {
        200: {
          description: 'The tile.',
          schema: z.string().meta({ format: 'binary' }),
          mediaType: 'application/octet-stream',
        },
      },
      problems: ['not-found', ...unavailable],
    },
    { params: tileParams },
  )
  app.get('/ledger/tile/*', described, async ({ params }, reply) => {
    const path = readTilePath(params['*'])
    if (!path) throw new HttpProblem('not-found')
    const { level, index, width } = path
    const tile =
      level === 'entries'
        ? await signedLog.entries({ index, width })
        : await signedLog.tile({ level, index, width })
    if (!tile) throw new HttpProblem('not-found')
    const isFull = width === tileWidth
    return cached(reply, isFull ? `max-age=${year}, immutable` : 'max-age=3600, immutable')
      .type('application/octet-stream')
      .send(tile)
  })
}

const size = z
  .string()
  .regex(/^\d{1,15}$/, 'must be a number of events')
  .transform(Number)
const consistencyQuery = z.strictObject({
  from: size.describe('Events in the older tree.').meta({ examples: ['0'] }),
  to: size
    .describe('Events in the newer tree, at most those under the newest note.')
    .meta({ examples: ['1'] }),
})

function consistency(app: App, signedLog: SignedLog, access: Access, cached: Cached): void {
  const described = operation(
    {
      ...common,
      access,
      summary: 'Proof that the ledger has only grown',
      description:
        'The hashes that prove the tree of `from` events to be a beginning of that of `to` events (RFC 9162, 2.1.4). Hold it against two notes: one that you kept, and a newer one.',
      answers: { 200: { description: 'The proof, from below upwards.', schema: consistencyAnswer } },
      problems: ['not-yet-signed', ...unavailable],
    },
    { querystring: consistencyQuery },
  )
  app.get('/ledger/consistency', described, async ({ query: { from, to } }, reply) => {
    if (from > to) throw invalidField('invalid-query', '/from', 'must not be more than `to`')
    const signed = await requireSigned(signedLog)
    if (to > signed.size)
      throw invalidField('invalid-query', '/to', `must be at most ${signed.size}: so many events are signed`)
    const hashes = await signedLog.consistency(from, to)
    const proof = hashes.map((hash) => hash.toString('base64'))
    return cached(reply, `max-age=${year}, immutable`).send({ from, to, proof })
  })
}

const notesQuery = z.strictObject({
  limit: pageSize({ standard: 100, maximum: 1_000 }),
  cursor: cursorParameter,
})

function allNotes(app: App, { signedLog, keyring }: SignedLogSeams, access: Access, cached: Cached): void {
  const cursors = cursorsOf(keyring, 'notes', z.int())
  const described = operation(
    {
      ...common,
      access,
      summary: 'Every note that was ever signed',
      description: 'By size, smallest first; from the event store itself.',
      answers: { 200: { description: 'A page of notes.', schema: checkpointsAnswer } },
      problems: ['invalid-cursor', 'event-store-unavailable'],
    },
    { querystring: notesQuery },
  )
  app.get('/ledger/checkpoints', described, async ({ query }, reply) => {
    const revisions = new Map<string, number>()
    const find = async ({ limit, after = -1 }: { limit: number; after?: number }) => {
      const notes = await signedLog.notes(after + 1, limit)
      return notes.map(({ note, revision }) => {
        revisions.set(note, revision)
        return { size: sizeOfNote(note), note }
      })
    }
    const json = await keysetPage(query, null, cursors, find, ({ note }) => revisions.get(note) ?? 0)
    return cached(reply, 'no-cache').type('application/json; charset=utf-8').send(json)
  })
}

async function requireSigned(signedLog: SignedLog): Promise<Signed> {
  const signed = await signedLog.newest()
  if (!signed) throw new HttpProblem('not-yet-signed')
  return signed
}
