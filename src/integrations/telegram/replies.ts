import type { Bot } from 'grammy'
import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import { LedgerError } from '../../ledger/errors.ts'
import type { IncidentRecord, LedgerRecord } from '../../ledger/event.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { verifyCheckpoint } from '../../projections/checkpoint.ts'
import type { Term } from '../../projections/leadership.ts'
import type { Projecting, Projection } from '../../projections/projector.ts'
import { ProjectorStopped } from '../../projections/projector-stopped.ts'
import {
  beginRepliesAnew,
  moveReplies,
  openReplies,
  type RepliesCheckpoint,
  relocateReplies,
} from '../../projections/replies.ts'
import { isRefusal, reasonOf } from './bot-api.ts'
import { type MessageRef, messageOf } from './identity.ts'
import { type LinkTo, tidings } from './texts.ts'

export interface RepliesOptions {
  /** Of the incidents whose reporters are to be told. */
  readonly origin: string
  readonly allowedChats: ReadonlySet<number>
  readonly ledger: Pick<Ledger, 'history' | 'readAt' | 'findCopied'>
  readonly linkTo: LinkTo
  readonly log: Logger
  /** Milliseconds since the Unix epoch. */
  readonly clock: () => number
  /** The bot of a term, when it begins. */
  readonly bot: (term: Term) => Bot
}

const name = 'telegram'
const batchSize = 500
/** Events that lead to no reply are cheap to go over again: the checkpoint moves over so many, or for so long, in memory only. */
const savedEvery = 1_000
const savedEveryMs = 10_000
/** Incidents of which it is known who reported them. */
const incidentsKnown = 100_000
const lookupsAtOnce = 16

/**
 * Tells, by a reply to the message that reported an incident, what it became and each later change. The checkpoint moves over an
 * event after its reply was sent: each is sent once; a second time only where this process, its Postgres or Telegram's answer
 * was lost between the two, for Telegram does not know a message again. None is left out, save where Telegram refuses it.
 */
export function chatReplies(options: RepliesOptions): Projection {
  const { ledger, log, clock } = options
  return {
    name,
    batchSize,
    checkpoint: async ({ client, signal }) => {
      const found = await openReplies(client, name, clock())
      try {
        const position = await verifyCheckpoint(found, ledger, signal, log)
        if (position === undefined || position.commit === found.position?.commit) return found
        await relocateReplies(client, name, found, position)
        return openReplies(client, name, clock())
      } catch (error) {
        if (!(error instanceof ProjectorStopped)) throw error
        log.warn(
          { index: found.index },
          'the ledger is not the one that Telegram was told of: beginning anew, with what is to come',
        )
        await beginRepliesAnew(client, name, clock())
        return openReplies(client, name, clock())
      }
    },
    relocate: ({ client }, checkpoint, position) => relocateReplies(client, name, checkpoint, position),
    begin: (term) => begin(term, options),
  }
}

async function begin(term: Term, options: RepliesOptions): Promise<Projecting> {
  const { clock } = options
  let saved = await openReplies(term.client, name, clock())
  let checkpoint: RepliesCheckpoint = saved
  let savedAtMs = clock()
  const bot = options.bot(term)
  const { prepare, replyTo } = replies(checkpoint.since, options)

  async function save(): Promise<boolean> {
    const { position, eventId } = checkpoint
    if (position === undefined || eventId === undefined || checkpoint.index === saved.index) return true
    if (!(await moveReplies(term.client, name, saved, { ...checkpoint, position, eventId }))) return false
    saved = checkpoint
    savedAtMs = clock()
    return true
  }

  return {
    checkpoint: () => checkpoint,
    async apply({ records }) {
      await prepare(records)
      for (const record of records) {
        const reply = await replyTo(record)
        if (reply) await send(bot, reply, options)
        const { position, id: eventId } = record
        checkpoint = { ...checkpoint, index: checkpoint.index + 1, position, eventId }
        if (reply && !(await save())) return false
      }
      const due = checkpoint.index - saved.index >= savedEvery || clock() - savedAtMs >= savedEveryMs
      return due ? save() : true
    },
  }
}

interface Reply {
  readonly to: MessageRef
  readonly text: string
}

function replies(since: string, { origin, allowedChats, ledger, linkTo, log }: RepliesOptions) {
  /** Where an incident was reported, by its id; empty where that was not through this bot. */
  const reported = new LRUCache<string, string>({ max: incidentsKnown })

  async function reportedIn({ incidentId, event }: IncidentRecord): Promise<string> {
    const known = reported.get(incidentId)
    if (known !== undefined) return known
    const [first] =
      event.type === 'IncidentReported'
        ? [event]
        : (await ledger.history.events(incidentId)).map((r) => r.event)
    const ours = first?.type === 'IncidentReported' && first.data.origin === origin
    const ref = ours ? (first.data.originRef ?? '') : ''
    reported.set(incidentId, ref)
    return ref
  }

  const isToTell = (record: LedgerRecord): record is IncidentRecord =>
    record.kind === 'incident' && record.metadata.recordedAt >= since

  /** Looks up who reported the incidents, many at once: after a start none is known, and most are of no chat. */
  async function prepare(records: readonly LedgerRecord[]): Promise<void> {
    const told = records.filter(isToTell)
    for (let start = 0; start < told.length; start += lookupsAtOnce) {
      await Promise.allSettled(told.slice(start, start + lookupsAtOnce).map(reportedIn))
    }
  }

  async function replyTo(record: LedgerRecord): Promise<Reply | undefined> {
    if (!isToTell(record)) return undefined
    try {
      const to = messageOf(await reportedIn(record))
      if (!to || !allowedChats.has(to.chat)) return undefined
      const { incident } = await ledger.history.stateAt(record.incidentId, { revision: record.revision })
      return { to, text: tidings(record, incident, linkTo) }
    } catch (error) {
      if (!(error instanceof LedgerError) || error.fault.code !== 'history-unreadable') throw error
      log.warn({ ...error.fault }, 'an incident cannot be read, so that Telegram is not told of its change')
      return undefined
    }
  }

  return { prepare, replyTo }
}

async function send(bot: Bot, { to, text }: Reply, options: RepliesOptions): Promise<void> {
  const { allowedChats, log } = options
  const plain = { link_preview_options: { is_disabled: true } }
  try {
    await bot.api.sendMessage(to.chat, text, {
      ...plain,
      reply_parameters: { message_id: to.message, allow_sending_without_reply: true },
    })
  } catch (error) {
    const reason = reasonOf(error, bot.token)
    // What is no refusal passes: the term ends, and the next one begins at this reply.
    if (!isRefusal(error)) throw new Error(reason)
    // A group that became a supergroup has another number, and its messages have others.
    const { migrate_to_chat_id: moved } = error.parameters
    if (moved === undefined || !allowedChats.has(moved)) {
      log.warn({ reason, chat: to.chat, moved }, 'Telegram does not take a reply')
      return
    }
    await bot.api.sendMessage(moved, text, plain).catch((again: unknown) => {
      if (!isRefusal(again)) throw new Error(reasonOf(again, bot.token))
      log.warn({ reason: reasonOf(again, bot.token), chat: moved }, 'Telegram does not take a reply')
    })
  }
}
