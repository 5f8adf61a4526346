/** docs/kafka.md tells the topics as they are, and its subscribers do what it says: each is run, where its tool is. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { topicDefinitions } from '../../src/integrations/kafka/topics.ts'
import { busyHistory } from '../integrations/kafka/busy-history.ts'
import { knownLedger } from '../integrations/kafka/known-ledger.ts'
import { runPublisher } from '../integrations/kafka/running-publisher.ts'
import { createTestDatabase } from '../support/database.ts'
import { type KafkaBroker, startKafkaBroker } from '../support/kafka.ts'
import { kafkaProgram } from '../support/kafka-program.ts'
import { isMissing } from '../support/services.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { waitFor } from '../support/wait-for.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const page = await readFile(join(root, 'docs/kafka.md'), 'utf8')

const subscribers = page.slice(page.indexOf('## Subscribers'))

test('each topic is listed with its partitions and how it is cleaned up', () => {
  for (const { name, partitions, config } of Object.values(topicDefinitions)) {
    const line = page.split('\n').find((text) => text.startsWith(`| \`${name}\` |`))
    expect(line, name).toContain(` | ${partitions} | `)
    expect(line, name).toContain(`cleanup.policy=${config['cleanup.policy']}`)
    const days = Number(config['retention.ms'] ?? config['max.compaction.lag.ms']) / 86_400_000
    if (!Number.isNaN(days)) expect(line, name).toContain(`of ${days} days`)
  }
})

describe.skipIf(isMissing('Kafka broker') || isMissing('Postgres'))('A subscriber gets every event', () => {
  let broker: KafkaBroker
  let directory: TemporaryDirectory
  const records = busyHistory(50)
  const expected = records.flatMap((record) =>
    record.kind === 'incident' ? [`${record.incidentId} ${record.revision} ${record.event.type}`] : [],
  )

  beforeAll(async () => {
    // Within the project, whose kafkajs the example finds from there.
    const cache = join(root, '.cache')
    await mkdir(cache, { recursive: true })
    ;[broker, directory] = await Promise.all([startKafkaBroker(), temporaryDirectory(cache)])
    await using database = await createTestDatabase()
    const { brokers } = broker
    await using publisher = runPublisher({
      brokers,
      topicPrefix: '',
      databaseUrl: database.url,
      ledger: knownLedger(records),
    })
    await publisher.published(records.length - 1)
  })
  afterAll(() => Promise.all([broker.close(), directory.remove()]))

  test('with kafkajs', async () => {
    const program = await written('js', 'subscriber.mjs')
    expect(await printedBy(process.execPath, program)).toEqual(expected.toSorted())
  })

  test('with kcat', async ({ skip }) => {
    if (!(await isThere('kcat', '-V'))) return skip('kcat is not on PATH')
    const program = await written('sh', 'subscriber.sh')
    expect(await printedBy('sh', program)).toEqual(expected.toSorted())
  })

  test('with Java', async ({ skip }) => {
    if (!(await isThere('javac', '-version')))
      return skip('javac is not on PATH: java cannot run a source file')
    const program = await written('java', 'Subscriber.java')
    const { classpath } = await kafkaProgram()
    expect(await printedBy('java', '-cp', classpath, program)).toEqual(expected.toSorted())
  })

  async function written(language: string, name: string): Promise<string> {
    const [, source] = new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(subscribers) ?? []
    expect(source?.split('\n').filter((line) => line !== '').length).toBeLessThanOrEqual(24)
    const path = join(directory.path, name)
    await writeFile(path, source ?? '')
    return path
  }

  /** What it has printed once there are as many lines as events, sorted: partitions come in any order. */
  async function printedBy(program: string, ...args: readonly string[]): Promise<readonly string[]> {
    const child = spawn(program, args, {
      env: { ...process.env, KAFKA_BROKERS: broker.brokers.join(',') },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A pipeline is more than one process.
      detached: true,
    })
    const lines: string[] = []
    let complaints = ''
    createInterface(child.stdout).on('line', (line) => {
      if (!line.startsWith('{')) lines.push(line)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaints += text
    })
    const ended = once(child, 'exit')
    try {
      await waitFor(() => lines.length >= expected.length || child.exitCode !== null, {
        describe: `${program} has printed ${expected.length} lines; it complained: ${complaints}`,
      })
    } finally {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
      await ended
    }
    if (lines.length < expected.length)
      throw new Error(`${program} ended with ${child.exitCode}: ${complaints}`)
    return lines.toSorted()
  }
})

function isThere(program: string, option: string): Promise<boolean> {
  return promisify(execFile)(program, [option]).then(
    () => true,
    () => false,
  )
}
