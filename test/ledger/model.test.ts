/**
 * Random commands, with and without keys and external keys, repeated and in any interleaving, from two ledgers over one store
 * to which mishaps happen; beside them a plain model, or what every history must show.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { IncidentId, Status } from '../../src/aggregates/incident/index.ts'
import { LedgerError } from '../../src/ledger/errors.ts'
import type { CommandAnswer, Ledger } from '../../src/ledger/ledger.ts'
import { type Mishap, openMemoryStore } from './support/memory-store.ts'
import { context, ledgerOn, report } from './support/requests.ts'

type Step =
  | { readonly do: 'report'; readonly externalKey?: string | undefined; readonly key?: string | undefined }
  | {
      readonly do: 'status'
      readonly incident: number
      readonly status: Status
      readonly key?: string | undefined
    }
  | { readonly do: 'note'; readonly incident: number; readonly key?: string | undefined }

const key = fc.option(fc.constantFrom('k1', 'k2', 'k3', 'k4'), { nil: undefined })
const externalKey = fc.option(fc.constantFrom('alarm-1', 'alarm-2'), { nil: undefined })
const incident = fc.nat(5)
const status = fc.constantFrom<Status>('new', 'in_progress', 'on_hold', 'resolved', 'closed')
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('report' as const), externalKey, key }),
  fc.record({ do: fc.constant('status' as const), incident, status, key }),
  fc.record({ do: fc.constant('note' as const), incident, key }),
)

const noteId = '00000000-0000-4000-8000-000000000001'
const legal: Record<Status, readonly Status[]> = {
  new: ['in_progress', 'on_hold', 'resolved'],
  in_progress: ['on_hold', 'resolved'],
  on_hold: ['in_progress', 'resolved'],
  resolved: ['in_progress', 'closed'],
  closed: [],
}

/** Incidents as a person would keep them on paper, numbered as they were made, with what each request was told. */
function openModel() {
  const incidents: { status: Status; revision: number; externalKey: string | undefined }[] = []
  const told = new Map<string, string>()

  function once(scope: string, step: Step, remembers: 'all' | 'changes', act: () => string): string {
    if (step.key === undefined) return act()
    const name = `${scope}/${step.key}`
    const request = JSON.stringify(step)
    const before = told.get(name)
    if (before !== undefined) {
      const [asked, answer = ''] = before.split('\n')
      return asked === request ? answer : 'idempotency-key-reused'
    }
    const answer = act()
    if (remembers === 'all' || /^(created|changed)/.test(answer)) told.set(name, `${request}\n${answer}`)
    // A report's key is one of the incident's own, too.
    const [, made] = /^created (\d+)@/.exec(answer) ?? []
    if (made) told.set(`incident ${made}/${step.key}`, `${request}\n${answer}`)
    return answer
  }

  function create(externalKey: string | undefined): string {
    incidents.push({ status: 'new', revision: 0, externalKey })
    return `created ${incidents.length - 1}@0`
  }

  return (step: Step): string => {
    if (step.do === 'report') {
      if (step.externalKey === undefined) return once('report', step, 'changes', () => create(undefined))
      return once('pinned', step, 'all', () => {
        const last = incidents.findLastIndex((one) => one.externalKey === step.externalKey)
        const open = incidents[last]
        return open && open.status !== 'resolved' && open.status !== 'closed'
          ? `joined ${last}@${open.revision}`
          : create(step.externalKey)
      })
    }
    const one = incidents[step.incident]
    if (!one) return 'incident-not-found'
    return once(`incident ${step.incident}`, step, 'changes', () => {
      if (step.do === 'status') {
        if (one.status === step.status) return `unchanged ${step.incident}@${one.revision}`
        if (!legal[one.status].includes(step.status)) return 'illegal-transition'
        one.status = step.status
      }
      one.revision += 1
      return `changed ${step.incident}@${one.revision}`
    })
  }
}

/** The same steps to a ledger, told in the model's words. */
function openDriver() {
  const ids: IncidentId[] = []
  const nobody = 'ffffffff-ffff-4fff-bfff-ffffffffffff' as IncidentId

  function told({ outcome, incident: { id, revision } }: CommandAnswer): string {
    if (!ids.includes(id)) ids.push(id)
    return `${outcome} ${ids.indexOf(id)}@${revision}`
  }

  return async (ledger: Ledger, step: Step): Promise<string> => {
    const id = step.do === 'report' ? nobody : (ids[step.incident] ?? nobody)
    const asked = step.key && { idempotency: { scope: 'key-1', key: step.key, request: step } }
    try {
      return told(await command(ledger, step, id, context(asked || {})))
    } catch (error) {
      if (error instanceof LedgerError) return error.fault.code
      throw error
    }
  }
}

function command({ incidents }: Ledger, step: Step, id: IncidentId, asked: ReturnType<typeof context>) {
  switch (step.do) {
    case 'report':
      return incidents.report(report({ externalKey: step.externalKey }), asked)
    case 'status':
      return incidents.change(id, { type: 'ChangeStatus', body: { status: step.status } }, asked)
    case 'note':
      return incidents.change(id, { type: 'AddNote', noteId, text: 'A note' }, asked)
    default:
      return step satisfies never
  }
}

describe('commands, one after the other', () => {
  test('are answered as a plain model answers them, whichever of two ledgers takes them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(step, fc.boolean()), { maxLength: 30 }), async (steps) => {
        const store = openMemoryStore()
        const here = await ledgerOn(store)
        const there = await ledgerOn(store)
        const model = openModel()
        const drive = openDriver()
        for (const [one, isHere] of withReportKeysOfOneKind(steps)) {
          expect(await drive(isHere ? here : there, one)).toBe(model(one))
        }
      }),
      { numRuns: 200 },
    )
  })
})

/** A key of a plain report and one of a pinned report are of two kinds here: the model has a scope for each. */
function withReportKeysOfOneKind(steps: readonly (readonly [Step, boolean])[]) {
  return steps.map(
    ([one, isHere]) =>
      [
        one.do === 'report' && one.externalKey && one.key ? { ...one, key: `x-${one.key}` } : one,
        isHere,
      ] as const,
  )
}

const mishaps = fc.array(fc.constantFrom<Mishap>('none', 'none', 'none', 'unanswered', 'lost', 'unsent'), {
  maxLength: 20,
})

describe('writers all at once', () => {
  test('lose no update, double none, and repeat no answer with another', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 2, maxLength: 12 }),
        mishaps,
        fc.scheduler(),
        async (steps, mishapsToCome, scheduler) => {
          const store = openMemoryStore()
          const { append, readStream } = store
          const scheduled = {
            ...store,
            append: async (...request: Parameters<typeof append>) => {
              await scheduler.schedule(Promise.resolve(), 'append')
              return append(...request)
            },
            readStream: async (...request: Parameters<typeof readStream>) => {
              await scheduler.schedule(Promise.resolve(), 'read')
              return readStream(...request)
            },
          }
          const [here, there] = await scheduler.waitFor(
            Promise.all([ledgerOn(scheduled), ledgerOn(scheduled)]),
          )
          const first = await scheduler.waitFor(
            here.incidents.report(report({ externalKey: 'alarm-1' }), context()),
          )
          const { id } = first.incident
          store.mishaps.push(...mishapsToCome)

          // Each step is asked of both ledgers at once, under a key of its own.
          const asked = steps.flatMap((one, n) =>
            [here, there].map((ledger) => {
              const idempotency = { scope: 'key-1', key: `step ${n}`, request: one }
              return command(ledger, one, id, context({ idempotency })).catch((error: unknown) => {
                if (error instanceof LedgerError) return error.fault
                throw error
              })
            }),
          )
          const answers = await scheduler.waitFor(Promise.all(asked))

          const events = store.all.filter(({ stream }) => stream.startsWith('incident-'))
          const appended = new Set(events.map(({ id }) => id))
          const answered = new Set<string>([...first.records.map((record) => record.id)])
          for (let n = 0; n < steps.length; n += 1) {
            const [a, b] = [answers[2 * n], answers[2 * n + 1]]
            const both = [a, b].filter(
              (one) => one && 'outcome' in one && /^(created|changed)/.test(one.outcome),
            )
            if (both.length === 2) expect(both[0]).toEqual(both[1])
            for (const one of both) {
              if (one && 'records' in one) for (const record of one.records) answered.add(record.id)
            }
          }
          // What was answered is there, what is there was answered, and each once.
          const all = answers.every(
            (one) => !('code' in one) || !/unknown|unavailable|contended/.test(one.code),
          )
          for (const id of answered) expect(appended.has(id)).toBe(true)
          if (all) expect(answered).toEqual(appended)
          for (const stream of new Set(events.map((event) => event.stream))) {
            const revisions = events
              .filter((event) => event.stream === stream)
              .map(({ revision }) => revision)
            expect(revisions).toEqual(revisions.map((_, i) => i))
          }
          expect(await scheduler.waitFor(here.history.events(id))).toHaveLength(
            events.filter(({ stream }) => stream === `incident-${id}`).length,
          )
        },
      ),
      { numRuns: 100 },
    )
  })
})
