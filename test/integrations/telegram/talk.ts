/** A bot that talks with a Bot API of the test's own, over a ledger in memory. */
import { Writable } from 'node:stream'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import { openBot } from '../../../src/integrations/telegram/bot-api.ts'
import { converse } from '../../../src/integrations/telegram/conversation.ts'
import { toLedger } from '../../../src/integrations/telegram/hand-over.ts'
import { telegramIdentity } from '../../../src/integrations/telegram/identity.ts'
import { takeUpdates } from '../../../src/integrations/telegram/updates.ts'
import { openKeyring } from '../../../src/ledger/keyring.ts'
import { inMemoryLedger } from '../../http/support/in-memory-ledger.ts'
import { startBotApi, token } from './bot-api-server.ts'

export const chat = -1001
export const keyring = openKeyring({
  current: { version: 1, value: 'a secret of a test, long enough to be one' },
  previous: [],
})
export const identity = telegramIdentity(7001, keyring)

/** Ends with the test. */
export async function talk() {
  const api = await startBotApi()
  const ledger = inMemoryLedger(Date.now)
  const lines: string[] = []
  const log = pino(
    { level: 'trace' },
    new Writable({
      write(line, _encoding, done) {
        lines.push(String(line))
        done()
      },
    }),
  )
  const confirmed: number[] = []
  let bot = start()
  onTestFinished(async () => {
    await bot.stop()
    await api[Symbol.asyncDispose]()
  })

  function start() {
    const ending = new AbortController()
    const { signal } = ending
    const grammy = openBot({ token, apiRoot: api.url }, signal, log)
    const handle = converse(grammy, {
      allowedChats: new Set([chat]),
      identity,
      handOver: toLedger(ledger.incidents),
      incidents: ledger.incidents,
      queries: ledger.queries,
      beginningWith: async (beginning) =>
        [...new Set(ledger.records.map(({ incidentId }) => incidentId))].filter((id) =>
          id.startsWith(beginning),
        ),
      linkTo: (id) => `https://ledger.test/incidents/${id}`,
      log,
      signal,
    })
    const confirm = async (next: number) => void confirmed.push(next)
    const ended = takeUpdates({ bot: grammy, signal, log, handle, confirm })
    return {
      stop: async () => {
        ending.abort()
        await ended
      },
    }
  }

  return {
    api,
    ledger,
    lines,
    confirmed,
    /** Reports that the ledger has. */
    reports: () => ledger.records.filter(({ event }) => event.type === 'IncidentReported'),
    restart: async () => {
      await bot.stop()
      bot = start()
    },
  }
}
