import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectKafka, type KafkaSettings } from '../../../src/integrations/kafka/connection.ts'
import { freePort } from '../../support/free-port.ts'
import { type KafkaBroker, startKafkaBroker } from '../../support/kafka.ts'
import { isMissing } from '../../support/services.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

describe.skipIf(isMissing('Kafka broker'))('A broker with TLS and SASL', () => {
  let broker: KafkaBroker
  let directory: TemporaryDirectory
  let settings: KafkaSettings
  const log = pino({ level: 'silent' })

  beforeAll(async () => {
    directory = await temporaryDirectory()
    const keystore = join(directory.path, 'broker.p12')
    const keystorePassword = 'of-the-keystore'
    const store = ['-storetype', 'PKCS12', '-keystore', keystore, '-storepass', keystorePassword]
    const key = ['-alias', 'broker', '-keyalg', 'RSA', '-keysize', '2048', '-validity', '2']
    const name = ['-dname', 'CN=localhost', '-ext', 'SAN=dns:localhost,ip:127.0.0.1']
    const keytool = (...args: string[]) => promisify(execFile)('keytool', args)
    await keytool('-genkeypair', ...key, ...name, ...store)
    // It signed itself: its certificate is the authority.
    const caFile = join(directory.path, 'ca.pem')
    const { stdout } = await keytool('-exportcert', '-rfc', '-alias', 'broker', ...store)
    await writeFile(caFile, stdout)
    const port = await freePort()
    const login = { username: 'ledger', password: 'of-the-ledger' }
    broker = await startKafkaBroker({ secure: { port, keystore, keystorePassword, ...login } })
    settings = {
      brokers: [`127.0.0.1:${port}`],
      topicPrefix: '',
      tls: { caFile },
      sasl: { mechanism: 'plain', ...login },
    }
  })
  afterAll(() => Promise.all([broker.close(), directory.remove()]))

  test('is reached with its authority and the password', async () => {
    expect(await topicsOf(settings)).toEqual([])
  })

  test('is not spoken to where its certificate is none of a known authority', async () => {
    const { tls: _, ...others } = settings
    await expect(topicsOf({ ...others, tls: {} })).rejects.toThrow(/self-signed certificate/)
  })

  test('refuses a wrong password', async () => {
    const sasl = { mechanism: 'plain', username: 'ledger', password: 'guessed' } as const
    await expect(topicsOf({ ...settings, sasl })).rejects.toThrow(/Authentication failed/)
  })

  async function topicsOf(each: KafkaSettings): Promise<readonly string[]> {
    const admin = connectKafka(each, log).admin({ retry: { retries: 0 } })
    try {
      await admin.connect()
      return await admin.listTopics()
    } finally {
      await admin.disconnect()
    }
  }
})

test('a file that is missing is named before anything is connected', () => {
  const tls = { caFile: '/nowhere/ca.pem' }
  const settings = { brokers: ['127.0.0.1:1'], topicPrefix: '', tls }
  expect(() => connectKafka(settings, pino({ level: 'silent' }))).toThrow(/\/nowhere\/ca\.pem/)
})
