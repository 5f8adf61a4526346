import { expect, test } from 'vitest'
import { LedgerError } from '../../../src/ledger/errors.ts'
import { ReadModelError } from '../../../src/projections/read-model.ts'
import { shortId } from '../../../src/projections/short-ids.ts'
import { waitFor } from '../../support/wait-for.ts'
import { ada, token } from './bot-api-server.ts'
import { chat, identity, talk } from './talk.ts'

test('/report and a plain message report an incident: by whom, from which message, and since when', async () => {
  const { api, reports } = await talk()
  const first = api.say(chat, '/report The <b>disk</b> is full\nSince *noon*')
  const second = api.say(chat, 'Checkout answers 502')
  await waitFor(() => reports().length === 2, { describe: 'both are reported' })
  expect(reports().map(({ event }) => event.data)).toMatchObject([
    {
      title: 'The <b>disk</b> is full',
      description: 'The <b>disk</b> is full\nSince *noon*',
      source: 'operator',
      origin: 'telegram:7001',
      originRef: `${chat}/${first}`,
    },
    { title: 'Checkout answers 502', originRef: `${chat}/${second}` },
  ])
  const { actor } = reports()[0]?.metadata ?? {}
  expect(actor).toEqual({ kind: 'telegram', id: identity.actor(ada).id, name: 'Ada Lovelace (@ada)' })
  expect(actor?.id).not.toContain(String(ada.id))
})

test('what is no report makes none: an answer to a message, an unknown command, a message without text, an empty /report', async () => {
  const { api, reports } = await talk()
  const id = api.say(chat, '/report')
  api.say(chat, 'Thanks!', { reply_to_message: { message_id: id } as never })
  api.say(chat, '/weather')
  api.say(chat, '', { text: undefined as never, sticker: {} as never })
  api.say(chat, '/report@another_bot Not for you')
  api.say(chat, 'This one is')
  await waitFor(() => reports().length > 0, { describe: 'the last one is reported' })
  expect(reports().map(({ event }) => event.data)).toMatchObject([{ title: 'This one is' }])
  expect(api.sent).toMatchObject([{ answers: id, text: 'What happened? Send /report and a text.' }])
})

test('other chats are ignored, and each is told of once in the log', async () => {
  const { api, reports, lines } = await talk()
  api.say(-666, '/report Let me in')
  api.say(-666, 'Let me in')
  api.say(-667, '/open')
  api.say(chat, 'A report')
  await waitFor(() => reports().length === 1, { describe: 'the one of the allowed chat is reported' })
  expect(api.sent).toEqual([])
  const told = lines.filter((line) => line.includes('TELEGRAM_ALLOWED_CHATS'))
  expect(told.map((line) => JSON.parse(line).chat)).toEqual([-666, -667])
})

test('a message that is delivered again is the same report, however it was confirmed', async () => {
  const { api, reports, restart, confirmed } = await talk()
  api.say(chat, 'One')
  await waitFor(() => reports().length === 1, { describe: 'it is reported' })
  await restart()
  api.say(chat, 'Two')
  await waitFor(() => reports().length === 2, { describe: 'the next one is reported' })
  expect(reports().map(({ event }) => event.data)).toMatchObject([{ title: 'One' }, { title: 'Two' }])
  // Nothing was confirmed to the server: the first one came twice.
  expect(confirmed).toHaveLength(1)
})

test('while the ledger takes nothing, reports wait unconfirmed and in order, and then each is taken', async () => {
  const { api, ledger, reports, lines } = await talk()
  ledger.failing.commands = new LedgerError({ code: 'event-store-unavailable', reason: 'away' })
  api.say(chat, 'One')
  api.say(chat, 'Two')
  await waitFor(() => ledger.contexts.length > 2, { describe: 'it was tried again' })
  expect(api.unconfirmed()).toBe(2)
  ledger.failing.commands = undefined
  await waitFor(() => reports().length === 2, { describe: 'both are reported' })
  expect(reports().map(({ event }) => event.data)).toMatchObject([{ title: 'One' }, { title: 'Two' }])
  expect(lines.filter((line) => line.includes('waits'))).toHaveLength(1)
  await waitFor(() => api.unconfirmed() === 0, { describe: 'they are confirmed' })
})

test('a report that can never be taken is answered with the reason', async () => {
  const { api, ledger } = await talk()
  const id = api.say(chat, 'Too soon', { date: Math.floor(Date.now() / 1_000) + 3_600 })
  await waitFor(() => api.sent.length === 1, { describe: 'it is answered' })
  expect(api.sent[0]).toMatchObject({ answers: id, text: expect.stringContaining('clock') })
  expect(ledger.records).toEqual([])
})

test('/open lists what is open, newest first; a button shows one', async () => {
  const { api, reports } = await talk()
  api.say(chat, '/open')
  await waitFor(() => api.sent.length === 1, { describe: 'the empty list is answered' })
  expect(api.sent[0]?.text).toBe('No incident is open.')
  api.say(chat, 'One')
  api.say(chat, 'Two & <three>')
  api.say(chat, '/open')
  const list = await waitFor(() => api.sent[1], { describe: 'the list is answered' })
  for (const { incidentId } of reports()) expect(list.text).toContain(shortId(incidentId))
  expect(list.text).toContain('Two & <three>')
  const button = list.buttons[0]?.text ?? ''
  api.press(list, button)
  await waitFor(() => api.sent[1]?.text.includes('https://ledger.test/incidents/'), {
    describe: 'the message shows the one',
  })
  expect(api.sent[1]?.text).toMatch(new RegExp(`^${button} · new · medium\\n`))
})

test('/status shows an incident by the beginning of its id, and its buttons change the status', async () => {
  const { api, reports, ledger } = await talk()
  api.say(chat, 'One')
  const { incidentId } = await waitFor(() => reports()[0], { describe: 'it is reported' })
  api.say(chat, `/status ${shortId(incidentId).toUpperCase()}`)
  const shown = await waitFor(() => api.sent[0], { describe: 'it is shown' })
  expect(shown.text).toMatch(/^[0-9a-f-]+ · new · medium\nOne\nReported .* UTC\nhttps:/)
  expect(shown.buttons.map(({ text }) => text)).toEqual(['Start', 'Put on hold', 'Resolve'])
  api.press(shown, 'Start')
  await waitFor(() => api.sent[0]?.text.includes('in progress'), { describe: 'the message shows the change' })
  expect(api.popups).toEqual(['It is in progress.'])
  expect(ledger.records.at(-1)).toMatchObject({
    event: { type: 'IncidentStatusChanged', data: { from: 'new', to: 'in_progress' } },
    metadata: { actor: { kind: 'telegram', name: 'Ada Lovelace (@ada)' } },
  })
  // The old message's button, as somebody sees it who has not refreshed.
  api.press(shown, 'Start')
  await waitFor(() => api.popups.length === 2, { describe: 'the second press is answered' })
  expect(ledger.records).toHaveLength(2)
})

test('/resolve asks first; the button resolves, once however often it is delivered', async () => {
  const { api, reports, ledger, restart } = await talk()
  api.say(chat, 'One')
  const { incidentId } = await waitFor(() => reports()[0], { describe: 'it is reported' })
  api.say(chat, `/resolve ${incidentId}`)
  const asked = await waitFor(() => api.sent[0], { describe: 'it asks' })
  expect(asked.text).toContain('Resolve it?')
  expect(ledger.records).toHaveLength(1)
  api.press(asked, 'Resolve')
  await waitFor(() => ledger.records.length === 2, { describe: 'it is resolved' })
  await restart()
  api.say(chat, `/resolve ${incidentId}`)
  await waitFor(() => api.sent.at(-1)?.text.endsWith('It is resolved already.'), { describe: 'it says so' })
  expect(ledger.records).toHaveLength(2)
})

test('an id that is none, or that nothing begins with, is answered with what to do', async () => {
  const { api, reports } = await talk()
  const texts = () => api.sent.map(({ text }) => text)
  for (const command of ['/status', '/status <b>', '/resolve 12']) api.say(chat, command)
  await waitFor(() => texts().length === 3, { describe: 'all are answered' })
  expect(new Set(texts())).toEqual(
    new Set(['Which one? Send the id too: at least its first four characters.']),
  )
  api.say(chat, '/status ffff-no')
  api.say(chat, '/status fffffff0')
  await waitFor(() => texts().length === 5, { describe: 'both are answered' })
  expect(texts().at(-1)).toBe('There is no incident with an id that begins so.')
  expect(reports()).toEqual([])
})

test('while the read model is away, a question is answered so, and reports are still taken', async () => {
  const { api, ledger, reports } = await talk()
  ledger.failing.queries = new ReadModelError('read-model-unavailable')
  api.say(chat, '/open')
  await waitFor(() => api.sent.length === 1, { describe: 'it is answered' })
  expect(api.sent[0]?.text).toBe('The ledger cannot answer now. Please try again in a while.')
  api.say(chat, 'One')
  await waitFor(() => reports().length === 1, { describe: 'it is reported' })
})

test('a limit, faults of the server and lost connections are waited out, and no log line has the token', async () => {
  const { api, lines, reports } = await talk()
  api.befall(
    'sendMessage',
    { status: 429, description: 'Too Many Requests: retry after 1', retryAfter: 1 },
    { status: 502, description: 'Bad Gateway' },
    { lost: 'before' },
  )
  api.befall('getUpdates', { lost: 'after' }, { status: 500, description: 'Internal Server Error' })
  api.say(chat, '/help')
  await waitFor(() => api.sent.length === 1, { describe: 'it is answered in the end' })
  api.away = true
  await waitFor(() => lines.some((line) => line.includes('cannot be reached')), { describe: 'it is told' })
  api.say(chat, 'One')
  api.away = false
  await waitFor(() => reports().length === 1, { describe: 'it is reported' })
  const sends = api.calls.filter((method) => method === 'sendMessage')
  expect(sends).toHaveLength(4)
  expect(lines.length).toBeGreaterThan(0)
  expect(lines.join('')).not.toContain(token)
  expect(lines.join('')).not.toContain(token.slice(5))
})

test('what Telegram refuses is logged, and the next message is answered', async () => {
  const { api, lines } = await talk()
  api.befall('sendMessage', {
    status: 403,
    description: 'Forbidden: bot was kicked from the supergroup chat',
  })
  api.say(chat, '/help')
  const id = api.say(chat, '/help')
  await waitFor(() => api.sent.length === 1, { describe: 'the second is answered' })
  expect(api.sent[0]?.answers).toBe(id)
  expect(lines.some((line) => line.includes('bot was kicked'))).toBe(true)
})
