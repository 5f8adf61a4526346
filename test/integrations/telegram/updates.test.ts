import { pino } from 'pino'
import { expect, test } from 'vitest'
import { confirmUpdates, openBot } from '../../../src/integrations/telegram/bot-api.ts'
import { takeUpdates } from '../../../src/integrations/telegram/updates.ts'
import { waitFor } from '../../support/wait-for.ts'
import { type BotApiServer, startBotApi, token } from './bot-api-server.ts'

const chat = -1001

/** Takes updates with `handle` until it is stopped. */
function take(api: BotApiServer, handle: (text: string) => Promise<void>, given = token) {
  const ending = new AbortController()
  const { signal } = ending
  const lines: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })
  const server = { token: given, apiRoot: api.url }
  const ended = takeUpdates({
    bot: openBot(server, signal, log),
    signal,
    log,
    handle: ({ message }) => handle(message?.text ?? ''),
    confirm: (next) => confirmUpdates(server, next),
  })
  const stop = async () => {
    ending.abort()
    await ended
  }
  return { lines, stop }
}

test('what was handled is confirmed at the end, and not a message more', async () => {
  await using api = await startBotApi()
  const handled: string[] = []
  for (const text of ['one', 'two', 'three']) api.say(chat, text)
  const stuck = Promise.withResolvers<void>()
  const { stop } = take(api, async (text) => {
    if (text === 'three') return stuck.promise
    handled.push(text)
  })
  await waitFor(() => handled.length === 2, { describe: 'two are handled' })
  expect(api.unconfirmed()).toBe(3)
  // The third is under way and does not end: the stop does.
  await stop()
  expect(api.unconfirmed()).toBe(1)
  stuck.resolve()

  const again: string[] = []
  const next = take(api, async (text) => void again.push(text))
  await waitFor(() => again.length > 0, { describe: 'the third is delivered again' })
  await next.stop()
  expect(again).toEqual(['three'])
  expect(api.unconfirmed()).toBe(0)
})

test('while another process polls with the token, that is told once, and the messages are taken later', async () => {
  await using api = await startBotApi()
  const conflict = { status: 409, description: 'Conflict: terminated by other getUpdates request' }
  api.befall('getUpdates', conflict, conflict)
  api.say(chat, 'one')
  const handled: string[] = []
  const { lines, stop } = take(api, async (text) => void handled.push(text))
  await waitFor(() => handled.length === 1, { describe: 'the message is handled' })
  await stop()
  const told = lines.map((line) => JSON.parse(line).msg)
  expect(told).toEqual(['Telegram does not let the bot take its messages', 'Telegram answers again'])
})

test('a token that is not accepted is told, without the token', async () => {
  await using api = await startBotApi()
  const wrong = '7001:another-token-of-the-tests-BBBBBBBB'
  const { lines, stop } = take(api, async () => {}, wrong)
  await waitFor(() => lines.length > 0, { describe: 'it is told' })
  await stop()
  expect(lines.join('')).toContain('401: Unauthorized')
  expect(lines.join('')).not.toContain(wrong.slice(5))
})
