import { setTimeout as delay } from 'node:timers/promises'
import type { Bot } from 'grammy'
import type { Update } from 'grammy/types'
import type { Logger } from 'pino'
import { reasonOf } from './bot-api.ts'

export interface UpdatesOptions {
  readonly bot: Bot
  readonly signal: AbortSignal
  readonly log: Logger
  /** Deals with an update: when it resolves, the update is Telegram's no more. Rejects when the signal aborts. */
  readonly handle: (update: Update) => Promise<void>
  /** At the end: tells Telegram that the updates before this one were handled. */
  readonly confirm: (next: number) => Promise<void>
}

/** How long Telegram holds a poll that has nothing to tell. */
const pollSeconds = 25
const retryMs = 1_000
/** At the end, for what is under way. What is not done by then is delivered again. */
const graceMs = 3_000

/**
 * Takes the updates in their order until the signal aborts, one after the other. Telegram forgets an update when a later one
 * is asked for, which is done only after it was handled; until then it is delivered again, for a day.
 */
export async function takeUpdates({ bot, signal, log, handle, confirm }: UpdatesOptions): Promise<void> {
  const over = overAfter(signal, graceMs)
  let next: number | undefined
  let told: string | undefined
  try {
    while (!signal.aborted) {
      try {
        if (!bot.isInited()) await introduce(bot)
        const updates = await bot.api.getUpdates({
          ...(next !== undefined && { offset: next }),
          timeout: pollSeconds,
          allowed_updates: ['message', 'callback_query'],
        })
        if (told !== undefined) log.info('Telegram answers again')
        told = undefined
        for (const update of updates) {
          const handled = handle(update)
          handled.catch(() => {}) // heard below, or no longer of interest
          await Promise.race([handled, over])
          next = update.update_id + 1
        }
      } catch (error) {
        if (signal.aborted) break
        // The token is not accepted, or another process polls with it: for the operator to mend, and then to go on.
        const reason = reasonOf(error, bot.token)
        if (reason !== told) log.error({ reason }, 'Telegram does not let the bot take its messages')
        told = reason
        await delay(retryMs, undefined, { signal }).catch(() => {})
      }
    }
  } finally {
    if (next !== undefined) await confirm(next)
  }
}

/** The bot learns its own name, and that it is not somebody's webhook that gets the updates. */
async function introduce(bot: Bot): Promise<void> {
  await bot.api.deleteWebhook()
  bot.botInfo = await bot.api.getMe()
}

/** Rejects so long after the signal has aborted. */
function overAfter(signal: AbortSignal, ms: number): Promise<never> {
  const over = new Promise<never>((_, reject) => {
    const begin = () => setTimeout(() => reject(signal.reason), ms).unref()
    if (signal.aborted) begin()
    else signal.addEventListener('abort', begin, { once: true })
  })
  over.catch(() => {}) // told to whoever waits, and to nobody else
  return over
}
