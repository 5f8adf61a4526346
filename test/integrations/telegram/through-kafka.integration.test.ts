/** The whole way of a message: the bot, a real broker, the intake, the ledger, and the reply. */
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { connectKafka } from '../../../src/integrations/kafka/connection.ts'
import { runTelegram } from '../../../src/integrations/telegram/index.ts'
import { openLedger } from '../../../src/ledger/open.ts'
import { openReadModel } from '../../../src/projections/open.ts'
import { secret } from '../../ledger/support/requests.ts'
import { createTestDatabase } from '../../support/database.ts'
import { startEventStoreProcess } from '../../support/event-store.ts'
import { startTestKafka } from '../../support/kafka.ts'
import { isMissing } from '../../support/services.ts'
import { waitFor } from '../../support/wait-for.ts'
import { runIntake } from '../kafka/intake/intakes.ts'
import { receivedFrom } from '../kafka/subscriber.ts'
import { startBotApi, token } from './bot-api-server.ts'

const chat = -1001
const log = pino({ level: 'silent' })

describe.skipIf(isMissing('Kafka'))('with Kafka', () => {
  test('a message becomes a record, the record an incident, the incident a reply; delivered again, nothing more', async () => {
    await using opened = new AsyncDisposableStack()
    const api = opened.use(await startBotApi())
    const store = opened.use(await startEventStoreProcess())
    const database = opened.use(await createTestDatabase())
    const { brokers, topicPrefix } = opened.use(await startTestKafka())
    const ledger = await openLedger({ eventStoreUrl: store.url, secret, log })
    opened.defer(() => ledger.close())
    const readModel = await openReadModel({ databaseUrl: database.url, ledger, log })
    opened.defer(() => readModel.close())
    opened.use(runIntake({ brokers, topicPrefix, ledger }))
    const reportsTopic = `${topicPrefix}incidents.reports`
    const ending = new AbortController()
    const talking = runTelegram(
      {
        ...{ token, apiRoot: api.url, allowedChats: new Set([chat]) },
        ...{ ledger, queries: readModel.queries, databaseUrl: database.url, log },
        kafka: { client: connectKafka({ brokers, topicPrefix }, log), reportsTopic },
        publicUrl: undefined,
      },
      ending.signal,
    )
    opened.defer(async () => {
      ending.abort()
      await talking
    })

    const message = api.say(chat, 'The lift in B stands still')
    const replies = () => api.sent.filter(({ answers }) => answers === message).map(({ text }) => text)
    await waitFor(() => replies().length > 0, { describe: 'the report is answered' })
    expect(replies()).toEqual([
      expect.stringMatching(/^Reported as [0-9a-f]{8} · new · medium\nThe lift in B stands still$/),
    ])

    api.redeliver(message)
    await waitFor(() => api.unconfirmed() === 0, { describe: 'it is handled again' })
    const next = api.say(chat, 'Another one')
    await waitFor(() => api.sent.some(({ answers }) => answers === next), {
      describe: 'the next is answered',
    })
    expect(api.sent).toHaveLength(2)
    const records = await receivedFrom(brokers, reportsTopic, 3)
    expect(new Set(records.map(({ headers }) => headers.ce_id)).size).toBe(2)
  })
})
