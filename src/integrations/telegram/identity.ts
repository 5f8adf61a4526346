/** Who and what the chats' people and messages are to the ledger. What identifies a person stands in it only as a keyed hash. */
import type { Chat, User } from 'grammy/types'
import type { Actor } from '../../ledger/event.ts'
import type { Keyring } from '../../ledger/ledger.ts'

/** A message, as Telegram knows it: a message's id counts within its chat. */
export interface MessageRef {
  readonly chat: number
  readonly message: number
}

export interface TelegramIdentity {
  /** Of every report that this bot brings; the scope of their ids. Another bot numbers the messages of a chat differently. */
  readonly origin: string
  /** The same for a message however often it is delivered, and for no other message. */
  readonly reportId: (message: MessageRef) => string
  /** Of a button that was pressed, by the id of Telegram's callback query. */
  readonly pressId: (queryId: string) => string
  readonly actor: (from: User | undefined, onBehalfOf?: Chat) => Actor
}

const nameLength = 255

export function telegramIdentity(botId: number, keyring: Pick<Keyring, 'mac'>): TelegramIdentity {
  const keyed = (purpose: string, ...parts: readonly (string | number)[]) =>
    keyring.mac(purpose, JSON.stringify([botId, ...parts])).toString('base64url')
  return {
    origin: `telegram:${botId}`,
    reportId: ({ chat, message }) => keyed('telegram-message', chat, message),
    pressId: (queryId) => keyed('telegram-button', queryId),
    actor: (from, onBehalfOf) => ({
      kind: 'telegram',
      // Not the bot's number: a person is the same one to every bot.
      id: keyring.mac('telegram-user', String(onBehalfOf?.id ?? from?.id ?? '')).toString('base64url'),
      name: nameOf(from, onBehalfOf),
    }),
  }
}

function nameOf(from: User | undefined, onBehalfOf: Chat | undefined): string {
  const names = onBehalfOf
    ? [onBehalfOf.title]
    : [from?.first_name, from?.last_name, from?.username && `(@${from.username})`]
  const name = names
    .filter((part) => part !== undefined && part !== '')
    .join(' ')
    .replaceAll('\u0000', '')
    .toWellFormed()
    .trim()
  return name.slice(0, nameLength).toWellFormed() || 'Somebody on Telegram'
}

/** What an incident's `originRef` says of the message that reported it. */
export function originRefOf({ chat, message }: MessageRef): string {
  return `${chat}/${message}`
}

export function messageOf(originRef: string): MessageRef | undefined {
  const [, chat, message] = /^(-?\d{1,16})\/(\d{1,16})$/.exec(originRef) ?? []
  return chat === undefined || message === undefined
    ? undefined
    : { chat: Number(chat), message: Number(message) }
}
