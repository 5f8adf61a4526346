/**
 * `node bench/intake.ts`: 10,000 reports on Kafka, one in a hundred of them poison, taken by intakes that are killed twenty times. Beside it, how many
 * a second one takes that lives. On a broker and an event store of its own; takes about six minutes.
 */
import { randomInt, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Message } from 'kafkajs'
import { pino } from 'pino'
import { startEventStoreNode } from '../src/embedded/event-store/node.ts'
import { openLedger } from '../src/ledger/open.ts'
import { startIntakeProcess } from '../test/integrations/kafka/intake/intakes.ts'
import { secret } from '../test/integrations/kafka/intake/records.ts'
import { eventsIn, headerOf, rejectedRecords, sendReports } from '../test/integrations/kafka/intake/topics.ts'
import { startKafkaBroker } from '../test/support/kafka-broker.ts'

const reports = 10_000
const poisonOneIn = 100
const kills = 20
const keys = 500
/** What an intake has at least and at most done when it is killed, of which some may have been done before. */
const leastDone = 20
const mostDone = 1_000

const dataDir = await mkdtemp(join(tmpdir(), 'incident-ledger-bench-'))
const log = pino({ level: 'silent' })
try {
  await using broker = await startKafkaBroker()
  const node = await startEventStoreNode({ dataDir, port: 0 })
  const ledger = await openLedger({ eventStoreUrl: node.url, secret, log })
  const place = { brokers: broker.brokers, eventStoreUrl: node.url }
  console.log(await killed({ ...place, topicPrefix: 'killed.' }))
  console.log(await unharmed({ ...place, topicPrefix: 'unharmed.' }))
  await ledger.close()
  await node.close()

  async function killed(options: Parameters<typeof startIntakeProcess>[0]): Promise<string> {
    const { brokers, topicPrefix } = options
    const mark = randomUUID()
    await sendReports(
      brokers,
      topicPrefix,
      Array.from({ length: reports }, (_, n) => messageOf(n, mark)),
    )
    let unfinished = 0
    for (let round = 0; round < kills; round += 1) {
      await using intake = startIntakeProcess(options)
      const done = randomInt(leastDone, mostDone)
      await until(() => (intake.health()?.taken ?? 0) >= done || intake.health()?.lag === 0)
      if (intake.health()?.lag !== 0) unfinished += 1
      await intake.kill()
    }
    await using intake = startIntakeProcess(options)
    await until(() => intake.health()?.state === 'taking' && intake.health()?.lag === 0)
    await intake.kill()

    const marks = (await eventsIn(ledger)).flatMap(({ event }) =>
      event.type === 'IncidentReported' && event.data.labels?.mark === mark ? [event.data.description] : [],
    )
    const rejected = await rejectedRecords(brokers, topicPrefix, reports / poisonOneIn)
    const places = rejected.map(
      (record) => `${headerOf(record, 'rejected-partition')}/${headerOf(record, 'rejected-offset')}`,
    )
    const distinct = new Set(marks).size
    return (
      `${kills} intakes killed, ${unfinished} of them with reports left: of ${reports} reports ${marks.length} incidents ` +
      `(${marks.length - distinct} of them twice), ${places.length} records rejected, ${new Set(places).size} without the repeats`
    )
  }

  async function unharmed(options: Parameters<typeof startIntakeProcess>[0]): Promise<string> {
    const { brokers, topicPrefix } = options
    const mark = randomUUID()
    await sendReports(
      brokers,
      topicPrefix,
      Array.from({ length: reports }, (_, n) => messageOf(n, mark)),
    )
    await using intake = startIntakeProcess(options)
    await until(() => (intake.health()?.taken ?? 0) > 0)
    const [begun, before] = [performance.now(), intake.health()?.taken ?? 0]
    const wanted = reports - reports / poisonOneIn
    await until(() => (intake.health()?.taken ?? 0) === wanted)
    const perSecond = ((wanted - before) * 1_000) / (performance.now() - begun)
    return `one intake, nothing killed: ${perSecond.toFixed(0)} reports/s`
  }
} finally {
  await rm(dataDir, { recursive: true, force: true })
}

/** In each of the forms that there are, and poison of each kind, in turn. */
function messageOf(n: number, mark: string): Message {
  const key = `key ${n % keys}`
  if (n % poisonOneIn === 0) return { key, ...poison(n / poisonOneIn) }
  const value = JSON.stringify({ description: `report ${n}`, source: 'monitoring', labels: { mark } })
  const attributes = { specversion: '1.0', id: `${mark} ${n}`, source: '/bench', type: 'IncidentReport' }
  switch (n % 3) {
    case 0:
      return { key, value }
    case 1: {
      const headers = Object.entries(attributes).map(([name, text]) => [`ce_${name}`, text])
      return { key, value, headers: { ...Object.fromEntries(headers), 'content-type': 'application/json' } }
    }
    default:
      return {
        key,
        value: JSON.stringify({ ...attributes, data: JSON.parse(value) }),
        headers: { 'content-type': 'application/cloudevents+json' },
      }
  }
}

function poison(n: number): Pick<Message, 'value' | 'headers'> {
  const kinds: readonly Pick<Message, 'value' | 'headers'>[] = [
    { value: '{"description":' },
    { value: null },
    { value: '{"description":"no source"}' },
    { value: '{"description":"a\\u0000b","source":"operator"}' },
    { value: '<report/>', headers: { 'content-type': 'application/xml' } },
    { value: '{"externalKey":"never reported","status":"closed"}' },
    { value: Buffer.alloc(300_000, 0x20) },
  ]
  return kinds[n % kinds.length] ?? { value: null }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(20)
}
