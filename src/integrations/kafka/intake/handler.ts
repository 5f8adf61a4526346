import { setTimeout as delay } from 'node:timers/promises'
import { admit, NotNow } from './admission.ts'
import type { BatchSteps } from './batch.ts'
import type { Membership } from './membership.ts'
import type { RejectedTopic } from './rejected-topic.ts'
import { Rejection } from './rejection.ts'
import { type Report, type ReportRecord, readReport } from './report.ts'

interface ReadRecord {
  readonly record: ReportRecord
  readonly reading: Report | Rejection
}

const firstPauseMs = 100
const longestPauseMs = 5_000
/** What fails so often in a way that nobody foresaw fails by what the record holds, not by where it goes. */
const surprisesAtMost = 5

const failed = new Rejection('internal-error', 'The service failed at it. Its log says how.')

/** What becomes of a record: the ledger takes it, or it goes to the rejected ones; it waits while neither can be. */
export function reportHandler(
  { ledger, log, onPaused, onTaken, onRejected }: Membership,
  { topic, clusterId, rejected }: { topic: string; clusterId: string; rejected: Pick<RejectedTopic, 'put'> },
): BatchSteps<ReadRecord> {
  const waiting = new Map<ReportRecord, string>()
  const wait = async (record: ReportRecord, why: string, attempt: number, signal: AbortSignal) => {
    waiting.set(record, why)
    onPaused(why)
    await delay(pauseMs(attempt), undefined, { signal })
  }
  const waitNoMore = (record: ReportRecord, signal: AbortSignal) => {
    if (!waiting.delete(record) || signal.aborted) return
    const [another] = waiting.values()
    onPaused(another)
  }

  /** The ledger's answer, or why it will never take it. */
  async function admitted(report: Report, record: ReportRecord, signal: AbortSignal) {
    let surprises = 0
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await admit(report, ledger.incidents)
      } catch (error) {
        if (error instanceof Rejection) return error
        if (!(error instanceof NotNow)) {
          log.error({ err: error, ...placeOf(record) }, 'a report could not be taken')
          surprises += 1
          if (surprises >= surprisesAtMost) {
            return failed
          }
        }
        await wait(record, error instanceof NotNow ? error.message : 'internal-error', attempt, signal)
      }
    }
  }

  async function reject(record: ReportRecord, rejection: Rejection, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        await rejected.put(record, rejection)
        log.info({ reason: rejection.reason, ...placeOf(record) }, 'a record from Kafka was rejected')
        return onRejected()
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error)
        await wait(record, `a record cannot be put into the topic of rejected ones: ${why}`, attempt, signal)
      }
    }
  }

  return {
    read: ({ offset, timestamp, key, value, headers }, partition) => {
      const record = { topic, partition, offset, timestamp, key, value, headers }
      try {
        return { record, reading: readReport(record, { clusterId, keyring: ledger.keyring }) }
      } catch (error) {
        if (error instanceof Rejection) return { record, reading: error }
        log.error({ err: error, ...placeOf(record) }, 'a record could not be read')
        return { record, reading: failed }
      }
    },
    // Those that have no key mean one incident where they name one external key.
    lineOf: ({ record, reading }) => record.key?.toString('base64') ?? externalKeyOf(reading),
    handle: async ({ record, reading }, signal) => {
      try {
        const answer = reading instanceof Rejection ? reading : await admitted(reading, record, signal)
        if (answer instanceof Rejection) await reject(record, answer, signal)
        else onTaken()
      } finally {
        waitNoMore(record, signal)
      }
    },
  }
}

/** Never one of a record's keys, which are in Base64. */
function externalKeyOf(reading: Report | Rejection): string | undefined {
  if (reading instanceof Rejection) return undefined
  const { asks } = reading
  const key = 'report' in asks ? asks.report.externalKey : asks.change.externalKey
  return key && `external key ${key}`
}

function placeOf({ topic, partition, offset }: ReportRecord) {
  return { topic, partition, offset }
}

/** Between half and all of a time that doubles, so that those who failed together do not come back together. */
function pauseMs(attempt: number): number {
  return Math.min(firstPauseMs * 2 ** attempt, longestPauseMs) * (0.5 + Math.random() / 2)
}
