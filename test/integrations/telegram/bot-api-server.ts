/**
 * The Bot API as far as the bot uses it, in memory: https://core.telegram.org/bots/api. Updates are kept until a poll with a
 * higher offset confirms them, and delivered again until then. Calls can be refused, limited, and lost before or after they took effect.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Message, Update, User } from 'grammy/types'

export const token = '7001:a-token-of-the-tests-AAAAAAAAAAAAAAA'

export const ada: User = { id: 501, is_bot: false, first_name: 'Ada', last_name: 'Lovelace', username: 'ada' }
const me = {
  id: 7001,
  is_bot: true,
  first_name: 'Ledger',
  username: 'ledger_test_bot',
  can_join_groups: true,
  can_read_all_group_messages: false,
  supports_inline_queries: false,
  can_connect_to_business: false,
  has_main_web_app: false,
}

export interface Sent {
  readonly chat: number
  readonly message: number
  readonly text: string
  /** The message that it answers. */
  readonly answers: number | undefined
  readonly buttons: readonly { readonly text: string; readonly data: string }[]
}

/** What happens to one call. `before`: it is lost and did nothing. `after`: it did, and its answer is lost. */
export type Fault =
  | { readonly lost: 'before' | 'after' }
  | {
      readonly status: number
      readonly description: string
      readonly retryAfter?: number
      /** The number of the supergroup that a group has become. */
      readonly movedTo?: number
    }

export interface BotApiServer extends AsyncDisposable {
  readonly url: string
  /** What the bot has sent, oldest first, as edited. */
  readonly sent: readonly Sent[]
  /** Answers to pressed buttons. */
  readonly popups: readonly string[]
  /** Names of the methods called, in order. */
  readonly calls: readonly string[]
  /** Texts of incoming messages that were not confirmed yet. */
  readonly unconfirmed: () => number
  /** A message that somebody sends; returns its id in the chat. */
  readonly say: (chat: number, text: string, more?: Partial<Message>) => number
  /** Has a message come once more, as after a confirmation that was lost. */
  readonly redeliver: (message: number) => void
  readonly press: (message: Sent, button: string, from?: User) => void
  /** What befalls the next calls of a method, in order. */
  readonly befall: (method: string, ...faults: readonly Fault[]) => void
  /** While true every connection is cut. */
  away: boolean
}

interface Request {
  readonly method: string
  readonly body: Record<string, unknown>
}

// Over all servers of a run, which share their chats: no number of a message is ever used again.
let updateId = 900_000
let messageId = 0
let queryId = 0

export async function startBotApi(): Promise<BotApiServer> {
  const updates: Update[] = []
  const sent: Sent[] = []
  const popups: string[] = []
  const calls: string[] = []
  const faults = new Map<string, Fault[]>()
  const arrivals = new EventTarget()
  let away = false
  let polling: AbortController | undefined

  const messages = new Map<number, Message>()
  const arrive = (update: Omit<Update, 'update_id'>) => {
    updateId += 1
    updates.push({ ...update, update_id: updateId })
    arrivals.dispatchEvent(new Event('update'))
  }
  const groupOf = (id: number) => ({ id, type: 'supergroup' as const, title: 'On call' })

  async function poll({ offset = 0, limit = 100, timeout = 0 }: Record<string, unknown>) {
    // Of two polls the earlier one is ended.
    polling?.abort()
    const own = new AbortController()
    polling = own
    while (Number(updates[0]?.update_id ?? Number.POSITIVE_INFINITY) < Number(offset)) updates.shift()
    if (updates.length === 0 && Number(timeout) > 0) {
      const signal = AbortSignal.any([own.signal, AbortSignal.timeout(1_000 * Number(timeout))])
      await once(arrivals, 'update', { signal }).catch(() => {})
      if (own.signal.aborted) return refusal(409, 'Conflict: terminated by other getUpdates request')
    }
    return granted(updates.slice(0, Number(limit)))
  }

  function send({ chat_id, text, reply_parameters, reply_markup }: Record<string, unknown>) {
    if (typeof text !== 'string' || text === '') return refusal(400, 'Bad Request: message text is empty')
    if (text.length > 4_096) return refusal(400, 'Bad Request: message is too long')
    messageId += 1
    sent.push({
      chat: Number(chat_id),
      message: messageId,
      text,
      answers: (reply_parameters as { message_id: number } | undefined)?.message_id,
      buttons: buttonsOf(reply_markup),
    })
    return granted({ message_id: messageId, date: now(), chat: groupOf(Number(chat_id)), text })
  }

  function edit({ message_id, text, reply_markup }: Record<string, unknown>) {
    const place = sent.findIndex(({ message }) => message === message_id)
    const found = sent[place]
    if (!found) return refusal(400, 'Bad Request: message to edit not found')
    const edited = { ...found, text: String(text), buttons: buttonsOf(reply_markup) }
    if (JSON.stringify(edited) === JSON.stringify(found)) {
      return refusal(400, 'Bad Request: message is not modified')
    }
    sent[place] = edited
    return granted(true)
  }

  async function act({ method, body }: Request) {
    switch (method) {
      case 'getMe':
        return granted(me)
      case 'getUpdates':
        return poll(body)
      case 'sendMessage':
        return send(body)
      case 'editMessageText':
        return edit(body)
      case 'answerCallbackQuery':
        popups.push(String(body.text))
        return granted(true)
      case 'deleteWebhook':
        return granted(true)
      default:
        return refusal(404, 'Not Found: method not found')
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, given, method = ''] = /^\/bot([^/]+)\/(\w+)$/.exec(request.url ?? '') ?? []
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    if (away) return void request.socket.destroy()
    if (given !== token) return reply(response, refusal(401, 'Unauthorized'))
    calls.push(method)
    const fault = faults.get(method)?.shift()
    if (fault && 'status' in fault) {
      const { status, description, retryAfter: retry_after, movedTo: migrate_to_chat_id } = fault
      return reply(response, {
        ...refusal(status, description),
        parameters: { retry_after, migrate_to_chat_id },
      })
    }
    if (fault?.lost === 'before') return void request.socket.destroy()
    const text = Buffer.concat(chunks).toString()
    const result = await act({ method, body: text === '' ? {} : JSON.parse(text) })
    if (fault?.lost === 'after') return void request.socket.destroy()
    reply(response, result)
  }

  const http = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const server: BotApiServer = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, // of a TCP server
    sent,
    popups,
    calls,
    unconfirmed: () => updates.length,
    get away() {
      return away
    },
    set away(value) {
      away = value
      if (away) http.closeAllConnections()
    },
    say(chat, text, more = {}) {
      messageId += 1
      const [command] = /^\/[a-z]+(@\w+)?/.exec(text) ?? []
      const message = {
        message_id: messageId,
        date: now(),
        chat: groupOf(chat),
        from: ada,
        text,
        ...(command && { entities: [{ type: 'bot_command', offset: 0, length: command.length }] }),
        ...more,
      }
      messages.set(messageId, message as never) // as much of a message as the bot looks at
      arrive({ message: messages.get(messageId) } as never)
      return messageId
    },
    redeliver: (id) => arrive({ message: messages.get(id) } as never),
    press({ chat, message, buttons }, button, from = ada) {
      const data = buttons.find(({ text }) => text === button)?.data
      if (data === undefined) throw new Error(`there is no button ${button}`)
      queryId += 1
      arrive({
        callback_query: {
          id: `query-${queryId}`,
          from,
          chat_instance: 'x',
          data,
          message: { message_id: message, date: now(), chat: groupOf(chat) } as never, // as above
        },
      })
    },
    befall: (method, ...more) => void faults.set(method, [...(faults.get(method) ?? []), ...more]),
    async [Symbol.asyncDispose]() {
      polling?.abort()
      http.closeAllConnections()
      http.close()
      await Promise.race([once(http, 'close'), delay(1_000)])
    },
  }
  return server
}

const now = () => Math.floor(Date.now() / 1_000)
const granted = (result: unknown) => ({ ok: true, result })
const refusal = (error_code: number, description: string) => ({ ok: false, error_code, description })

function reply(response: ServerResponse, body: object): void {
  const status = 'error_code' in body ? Number(body.error_code) : 200
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

function buttonsOf(markup: unknown): Sent['buttons'] {
  const rows =
    (markup as { inline_keyboard?: { text: string; callback_data: string }[][] } | undefined)
      ?.inline_keyboard ?? []
  return rows.flat().map(({ text, callback_data }) => ({ text, data: callback_data }))
}
