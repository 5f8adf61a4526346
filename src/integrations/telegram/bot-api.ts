import { setTimeout as delay } from 'node:timers/promises'
import { autoRetry } from '@grammyjs/auto-retry'
import { Api, Bot, GrammyError, HttpError, type Transformer } from 'grammy'
import type { Logger } from 'pino'

export interface BotApiOptions {
  readonly token: string
  /** Without a slash at its end. */
  readonly apiRoot: string
}

/** Of a request, the long poll included. */
const requestTimeoutSeconds = 60
const firstPauseMs = 500
const longestPauseMs = 15_000
/** When all is to end, what is being sent may still arrive, and be known to have. */
const graceMs = 3_000

/**
 * A bot whose every call waits out what passes: a limit (429, for as long as Telegram says), a fault of the server (5xx), no
 * network. When the signal aborts, it waits no longer. What Telegram refuses is thrown.
 */
export function openBot({ token, apiRoot }: BotApiOptions, signal: AbortSignal, log: Logger): Bot {
  const bot = new Bot(token, { client: { apiRoot, timeoutSeconds: requestTimeoutSeconds } })
  bot.api.config.use(
    autoRetry({ rethrowInternalServerErrors: true, rethrowHttpErrors: true }),
    persistent(signal, (error) =>
      log.warn({ reason: reasonOf(error, token) }, 'Telegram cannot be reached now: trying again'),
    ),
  )
  return bot
}

/**
 * Tells Telegram that the updates before `next` were handled, in one try: where it fails, they are delivered again, and known
 * again.
 */
export async function confirmUpdates({ token, apiRoot }: BotApiOptions, next: number): Promise<void> {
  const api = new Api(token, { apiRoot, timeoutSeconds: graceMs / 1_000 })
  await api.getUpdates({ offset: next, limit: 1, timeout: 0 }).catch(() => {})
}

function persistent(signal: AbortSignal, onTrouble: (error: unknown) => void): Transformer {
  return async (call, method, payload) => {
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      signal.throwIfAborted()
      using ending = method === 'getUpdates' ? endingWith(signal) : endingAfter(signal, graceMs)
      try {
        const answer = await call(method, payload, ending.signal)
        if (answer.ok || answer.error_code < 500) return answer
        if (pauseMs === firstPauseMs) onTrouble(new Error(answer.description))
      } catch (error) {
        if (!(error instanceof HttpError)) throw error
        if (pauseMs === firstPauseMs && !signal.aborted) onTrouble(error)
      }
      await delay(pauseMs, undefined, { signal })
    }
  }
}

type CallSignal = Parameters<Parameters<Transformer>[0]>[2]

function endingWith(signal: AbortSignal) {
  return { signal: signal as CallSignal, [Symbol.dispose]() {} } // grammY's type is that of an older polyfill
}

function endingAfter(signal: AbortSignal, ms: number) {
  const over = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const begin = () => {
    timer = setTimeout(() => over.abort(signal.reason), ms)
  }
  signal.addEventListener('abort', begin, { once: true })
  return {
    signal: over.signal as CallSignal, // as above
    [Symbol.dispose]() {
      signal.removeEventListener('abort', begin)
      clearTimeout(timer)
    },
  }
}

/** What went wrong, for the log. Never the error itself: a URL of the Bot API has the token in it, and errors have URLs in them. */
export function reasonOf(error: unknown, token: string): string {
  if (error instanceof HttpError) return `Telegram cannot be reached${codeOf(error.error)}`
  return (error instanceof Error ? error.message : String(error)).replaceAll(token, '…')
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^\w+$/.test(code) ? ` (${code})` : ''
}

/** What Telegram will not do, however often it is asked. */
export function isRefusal(error: unknown): error is GrammyError {
  return error instanceof GrammyError && error.error_code < 500 && error.error_code !== 429
}
