import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { type IncidentId, incidentId } from '../../aggregates/incident/index.ts'
import { hashOfLeaf, provesInclusion } from '../../audit/merkle.ts'
import type { Entries } from '../../ledger/entries.ts'
import type { IncidentHistory } from '../../ledger/ledger.ts'
import { BrokenSeal } from '../../ledger/seal.ts'
import type { SignedLog } from '../../projections/notary/signed-log.ts'
import type { Queries } from '../../projections/read-model.ts'
import { bundleAnswer } from '../answers.ts'
import * as examples from '../examples.ts'
import type { App } from '../instance.ts'
import { operation } from '../operation.ts'
import { HttpProblem } from '../problems.ts'

export interface ProofSeams {
  readonly entries: Pick<Entries, 'ofIncident'>
  readonly history: Pick<IncidentHistory, 'disclosures'>
  readonly queries: Pick<Queries, 'indexesOf'>
  readonly signedLog: SignedLog
  /** For the newest event to come under a note. */
  readonly patienceMs: number
}

export const bundleFormat = 'incident-ledger/bundle@1'
/** How often it is looked whether the read model has the newest event. */
const lookIntervalMs = 50

const params = z.object({ id: incidentId.meta({ examples: [examples.incidentId] }) })

/** GET /incidents/{id}/proof */
export function incidentProof(app: App, seams: ProofSeams): void {
  const described = operation(
    {
      access: 'audit',
      audited: true,
      tag: 'Audit',
      summary: 'What proves the history of an incident',
      description:
        'Every event as it is signed, with what discloses its text, the proof that it is in the ledger, and the signed note over that. `incident-ledger verify` checks it offline, with the public key alone. An event that is no second old is waited for until it is signed.',
      answers: { 200: { description: 'The bundle.', schema: bundleAnswer } },
      problems: [
        'incident-not-found',
        'not-yet-signed',
        'event-store-unavailable',
        'history-unreadable',
        'history-altered',
        'read-model-unavailable',
        'query-timeout',
      ],
    },
    { params },
  )
  app.get('/incidents/:id/proof', described, async ({ params: { id } }, reply) =>
    reply.header('cache-control', 'no-store').send(await bundleOf(id, seams)),
  )
}

async function bundleOf(id: IncidentId, { entries, history, queries, signedLog, patienceMs }: ProofSeams) {
  const until = performance.now() + patienceMs
  const events = await entries.ofIncident(id)
  const disclosures = await unbroken(history.disclosures(id))
  const indexes = await indexesOf(id, events.length, queries, until)
  const signed = await signedLog.newestOver((indexes.at(-1) ?? 0) + 1, until - performance.now())
  if (indexes.length < events.length || !signed || signed.size <= (indexes.at(-1) ?? 0)) {
    throw new HttpProblem('not-yet-signed')
  }
  const { size, root, note } = signed
  const proofs = await signedLog.inclusion(indexes, size)
  return {
    format: bundleFormat,
    incidentId: id,
    note,
    events: events.map(({ entry }, revision) => {
      const index = indexes[revision] ?? -1
      const proof = proofs[revision] ?? []
      if (!provesInclusion(hashOfLeaf(entry), index, size, proof, root))
        throw new HttpProblem('history-altered')
      return {
        index,
        entry,
        proof: proof.map((hash) => hash.toString('base64')),
        disclosures: disclosures[revision] ?? {},
      }
    }),
  }
}

/** By revision; fewer where the read model does not have all of them in time. */
async function indexesOf(
  id: IncidentId,
  count: number,
  queries: Pick<Queries, 'indexesOf'>,
  until: number,
): Promise<number[]> {
  for (;;) {
    const found = await queries.indexesOf(id)
    const indexes = Array.from({ length: count }, (_, revision) => found.get(revision))
    const known = indexes.filter((index) => index !== undefined)
    if (known.length === count || performance.now() >= until) return known
    await delay(lookIntervalMs)
  }
}

async function unbroken<T>(disclosures: Promise<T>): Promise<T> {
  try {
    return await disclosures
  } catch (error) {
    if (error instanceof BrokenSeal) throw new HttpProblem('history-altered')
    throw error
  }
}
