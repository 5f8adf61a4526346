import { setTimeout as delay } from 'node:timers/promises'
import { type Bot, BotError, type Context } from 'grammy'
import type { Message, Update } from 'grammy/types'
import type { Logger } from 'pino'
import { instantOf, reportBody } from '../../aggregates/incident/index.ts'
import { LedgerError } from '../../ledger/errors.ts'
import { answer, whyNot } from './answer.ts'
import { reasonOf } from './bot-api.ts'
import { type ButtonOptions, pressed } from './buttons.ts'
import { type HandOver, NotNow } from './hand-over.ts'
import { originRefOf } from './identity.ts'
import { askToResolve, type QuestionOptions, showIncident, showOpen } from './questions.ts'
import { help } from './texts.ts'

export type ConversationOptions = ButtonOptions &
  QuestionOptions & {
    readonly allowedChats: ReadonlySet<number>
    readonly handOver: HandOver
    readonly log: Logger
    readonly signal: AbortSignal
  }

const firstRetryMs = 200
const longestRetryMs = 10_000
/** Chats that were told of in the log; a stranger may come from ever new ones. */
const strangersKnown = 1_000

/**
 * What the bot does about an update. Resolves when the update is done with: a report was handed on, a question answered, or
 * it is none of ours. What cannot be done now is tried until it can, or until the signal aborts: then it rejects.
 */
export function converse(bot: Bot, options: ConversationOptions): (update: Update) => Promise<void> {
  const { log, signal } = options
  listen(bot, options)
  return async (update) => {
    for (let retryMs = firstRetryMs; ; retryMs = Math.min(2 * retryMs, longestRetryMs)) {
      try {
        return await bot.handleUpdate(update)
      } catch (thrown) {
        const error = thrown instanceof BotError ? thrown.error : thrown
        signal.throwIfAborted()
        const reason = reasonOf(error, bot.token)
        if (!(error instanceof NotNow)) {
          // Nobody can be told, and it would not go better again.
          log.error({ reason, update: update.update_id }, 'the bot could not answer')
          return
        }
        if (retryMs === firstRetryMs) log.warn({ reason }, 'a report from Telegram waits')
        await delay(retryMs, undefined, { signal })
      }
    }
  }
}

function listen(bot: Bot, options: ConversationOptions): void {
  const { allowedChats, log } = options
  const strangers = new Set<number>()
  bot.use(async (context, next) => {
    const id = context.chat?.id
    if (id === undefined) return
    if (allowedChats.has(id)) return next()
    if (strangers.has(id) || strangers.size >= strangersKnown) return
    strangers.add(id)
    log.warn({ chat: id }, 'ignoring a chat that is not in TELEGRAM_ALLOWED_CHATS')
  })
  bot.command('report', (context) => report(context, context.message, context.match, options))
  bot.command(['start', 'help'], (context) => answer(context, help))
  bot.command('open', (context) => showOpen(context, options))
  bot.command('status', (context) => showIncident(context, options))
  bot.command('resolve', (context) => askToResolve(context, options))
  bot.callbackQuery(/^(\w+) ([0-9a-f-]{36})$/, (context) => pressed(context, options))
  bot.on(['message:text', 'message:caption'], (context) => {
    const { message } = context
    const isTalk = message.reply_to_message !== undefined || startsWithCommand(message)
    return isTalk ? undefined : report(context, message, message.text ?? message.caption, options)
  })
}

async function report(
  context: Context,
  message: Message | undefined,
  text: string | undefined,
  { identity, handOver }: ConversationOptions,
): Promise<void> {
  if (!message) return
  const description = text?.trim() ?? ''
  if (description === '') return answer(context, 'What happened? Send /report and a text.')
  const body = reportBody.safeParse({
    description,
    source: 'operator',
    occurredAt: instantOf(message.date * 1_000),
  })
  if (!body.success) {
    const why = body.error.issues.map((issue) => issue.message).join(', ')
    return answer(context, `This cannot be recorded: its text ${why}.`)
  }
  const ref = { chat: message.chat.id, message: message.message_id }
  try {
    await handOver({
      id: identity.reportId(ref),
      body: body.data,
      provenance: {
        actor: identity.actor(message.from, message.sender_chat),
        origin: identity.origin,
        originRef: originRefOf(ref),
      },
    })
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error
    await answer(context, whyNot(error))
  }
}

function startsWithCommand({ entities, caption_entities }: Message): boolean {
  return [...(entities ?? []), ...(caption_entities ?? [])].some(
    ({ type, offset }) => type === 'bot_command' && offset === 0,
  )
}
