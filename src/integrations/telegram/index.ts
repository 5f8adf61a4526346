import { setTimeout as delay } from 'node:timers/promises'
import type { Kafka } from 'kafkajs'
import type { Logger } from 'pino'
import type { Ledger } from '../../ledger/ledger.ts'
import { runProjector } from '../../projections/projector.ts'
import { ProjectorStopped } from '../../projections/projector-stopped.ts'
import type { Queries } from '../../projections/read-model.ts'
import { incidentsOfShortId } from '../../projections/short-ids.ts'
import { type BotApiOptions, confirmUpdates, openBot, reasonOf } from './bot-api.ts'
import { converse } from './conversation.ts'
import { toKafka, toLedger } from './hand-over.ts'
import { telegramIdentity } from './identity.ts'
import { chatReplies } from './replies.ts'
import { takeUpdates } from './updates.ts'

export interface TelegramOptions extends BotApiOptions {
  /** Messages of other chats are ignored. */
  readonly allowedChats: ReadonlySet<number>
  readonly ledger: Pick<Ledger, 'incidents' | 'history' | 'subscribe' | 'readAt' | 'findCopied' | 'keyring'>
  readonly queries: Pick<Queries, 'incident' | 'incidents'>
  /** Where the bot keeps how far it is in replying, and by which one process of many is elected. */
  readonly databaseUrl: string
  /** By which reports reach the ledger; absent: they are given to it directly. */
  readonly kafka?: { readonly client: Pick<Kafka, 'producer'>; readonly reportsTopic: string } | undefined
  /** How people reach the service, for links. */
  readonly publicUrl: URL | undefined
  readonly log: Logger
  /** Milliseconds since the Unix epoch. Default: this machine's. */
  readonly clock?: () => number
}

/** A broker that is gone answers no goodbye. */
const goodbyeMs = 1_000

/**
 * Talks to Telegram until the signal aborts: takes reports and commands from the allowed chats, and tells there what becomes of
 * the reports. Of several processes one does. Whatever can pass is waited for; messages meanwhile wait at Telegram.
 */
export async function runTelegram(options: TelegramOptions, signal: AbortSignal): Promise<void> {
  const { token, allowedChats, ledger, queries, databaseUrl, kafka, publicUrl, log } = options
  const { clock = Date.now } = options
  const identity = telegramIdentity(botIdOf(token), ledger.keyring)
  const base = publicUrl?.href.replace(/\/$/, '')
  const linkTo = (id: string) => (base === undefined ? undefined : `${base}/incidents/${id}`)
  const reports = kafka
    ? toKafka(kafka.client, kafka.reportsTopic, ledger.keyring)
    : { handOver: toLedger(ledger.incidents), close: async () => {} }
  let talking: Promise<void> = Promise.resolve()

  const projection = chatReplies({
    ...{ origin: identity.origin, allowedChats, ledger, linkTo, log, clock },
    bot: (term) => {
      const bot = openBot(options, term.signal, log)
      const handle = converse(bot, {
        ...{ allowedChats, identity, queries, linkTo, log },
        handOver: reports.handOver,
        incidents: ledger.incidents,
        beginningWith: (beginning) => incidentsOfShortId(term.client, beginning),
        signal: term.signal,
      })
      const earlier = talking
      talking = earlier
        .then(() =>
          takeUpdates({
            bot,
            signal: term.signal,
            log,
            handle,
            confirm: (next) => confirmUpdates(options, next),
          }),
        )
        .catch((error: unknown) => term.end(new Error(reasonOf(error, token))))
      return bot
    },
  })
  try {
    while (!signal.aborted) {
      try {
        await runProjector(projection, { databaseUrl, ledger, signal, log, onState: () => {} })
      } catch (error) {
        // Its checkpoint is looked at again, and begun anew where the ledger is another.
        if (!(error instanceof ProjectorStopped)) throw error
      }
    }
  } finally {
    await talking
    await Promise.race([reports.close().catch(() => {}), delay(goodbyeMs)])
  }
}

/** A token is the bot's number, a colon and a secret. */
function botIdOf(token: string): number {
  return Number(token.slice(0, token.indexOf(':')))
}
