/** How long it takes from an event's append until a read_committed subscriber has it, of a service under a steady load. */
import { setTimeout as delay } from 'node:timers/promises'
import { Kafka, logLevel } from 'kafkajs'
import { accessKey, startService } from './processes.ts'

const aimPerSecond = 200
const seconds = 20
const warmUpSeconds = 5

export interface Lag {
  readonly events: number
  /** As the load came to be. */
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export async function measureLag(brokers: readonly string[]): Promise<Lag> {
  await using service = await startService({ KAFKA_BROKERS: brokers.join(',') })
  const url = `http://127.0.0.1:${service.port}`
  await reported(url)
  const consumer = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).consumer({
    groupId: 'bench',
  })
  const arrivals: { readonly atMs: number; readonly lagMs: number }[] = []
  await consumer.connect()
  // The service makes the topic in its first second.
  for (;;) {
    try {
      await consumer.subscribe({ topics: ['incidents.events'], fromBeginning: true })
      break
    } catch {
      await delay(200)
    }
  }
  await consumer.run({
    eachMessage: async ({ message }) => {
      const { recordedAt }: { recordedAt: string } = JSON.parse(String(message.value))
      const atMs = Date.now()
      arrivals.push({ atMs, lagMs: atMs - Date.parse(recordedAt) })
    },
  })
  while (arrivals.length === 0) await delay(50)

  const beganMs = Date.now()
  const total = aimPerSecond * (warmUpSeconds + seconds)
  const answers: Promise<void>[] = []
  for (let n = 0; n < total; n++) {
    const waitMs = beganMs + (n * 1_000) / aimPerSecond - Date.now()
    if (waitMs > 0) await delay(waitMs)
    answers.push(reported(url))
  }
  await Promise.all(answers)
  while (arrivals.length < total + 1) await delay(50)
  await consumer.disconnect()

  const measured = arrivals.filter(({ atMs }) => atMs > beganMs + warmUpSeconds * 1_000)
  const lags = measured.map(({ lagMs }) => lagMs).toSorted((a, b) => a - b)
  const lastMs = measured.at(-1)?.atMs ?? Number.NaN
  return {
    events: lags.length,
    perSecond: (lags.length * 1_000) / (lastMs - beganMs - warmUpSeconds * 1_000),
    p50Ms: lags[Math.floor(lags.length * 0.5)] ?? Number.NaN,
    p99Ms: lags[Math.floor(lags.length * 0.99)] ?? Number.NaN,
  }
}

async function reported(url: string): Promise<void> {
  const answer = await fetch(`${url}/incidents`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-access-key': accessKey },
    body: JSON.stringify({ source: 'monitoring', severity: 'high', description: 'the disk of db-1 is full' }),
  })
  if (!answer.ok) throw new Error(`POST /incidents was answered by ${answer.status}`)
  await answer.arrayBuffer()
}
