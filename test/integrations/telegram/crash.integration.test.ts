/** kill -9 of the service while it talks: each message is one incident, each is answered, and hardly any twice. */
import { expect, test } from 'vitest'
import { createTestDatabase } from '../../support/database.ts'
import { startEventStoreProcess } from '../../support/event-store.ts'
import { startService } from '../../support/service-process.ts'
import { waitFor } from '../../support/wait-for.ts'
import { startBotApi, token } from './bot-api-server.ts'

const chat = -1001
const rounds = 4
const messagesARound = 12

test('through kills at any moment, each message is handled once and each change told, once save for one a kill', async () => {
  await using api = await startBotApi()
  await using store = await startEventStoreProcess()
  await using database = await createTestDatabase()
  await using service = await startService({
    EVENTSTORE_URL: store.url,
    DATABASE_URL: database.url,
    LEDGER_SECRET: 'a secret of a test, long enough to be one',
    LOG_LEVEL: 'debug',
    TELEGRAM_BOT_TOKEN: token,
    TELEGRAM_ALLOWED_CHATS: String(chat),
    TELEGRAM_API_ROOT: api.url,
  })
  const messages: number[] = []
  const repliesTo = (message: number) => api.sent.filter(({ answers }) => answers === message)
  for (let round = 0; round < rounds; round++) {
    const before = api.sent.length
    for (let count = 0; count < messagesARound; count++)
      messages.push(api.say(chat, `Round ${round}, ${count}`))
    // Not before it talks, and then after another number of replies each time.
    await waitFor(() => api.sent.length > before + 3 * round, { describe: 'some are answered' })
    await service.kill()
    await service.start()
  }
  const answered = () => messages.every((message) => repliesTo(message).length > 0)
  await waitFor(answered, { describe: 'all are answered' })
  await waitFor(() => api.unconfirmed() === 0, { describe: 'all are confirmed' })

  // The answers come from the ledger itself: the read model may still be behind.
  const { items } = await waitFor(
    async () => {
      const { body } = await service.call('GET', '/incidents?limit=200')
      return body.items.length >= messages.length ? body : undefined
    },
    { describe: 'the list has all of them' },
  )
  const refs = items.map(({ originRef }: { originRef: string }) => originRef)
  expect(refs.toSorted()).toEqual(messages.map((message) => `${chat}/${message}`).toSorted())
  // A machine that is slow enough can lose a connection too, which is told.
  const lost = service.output().match(/projecting is interrupted|cannot be reached/g)?.length ?? 0
  expect(api.sent.length - messages.length).toBeLessThanOrEqual(rounds + lost)

  const [incident] = items
  const [, number] = incident.originRef.split('/')
  const change = { body: { status: 'in_progress' } }
  await waitFor(
    async () => (await service.call('PATCH', `/incidents/${incident.id}/status`, change)).status === 200,
    { describe: 'its status is changed' },
  )
  const isTold = () => repliesTo(Number(number)).some(({ text }) => text.includes('is in progress'))
  await waitFor(isTold, { describe: 'the change is told' })
  expect(await service.stop()).toBe(0)
  expect(service.output()).not.toContain(token.slice(5))
})
