import type { Context, InlineKeyboard } from 'grammy'
import type { Refusal } from '../../aggregates/incident/index.ts'
import type { LedgerError } from '../../ledger/errors.ts'
import { ReadModelError } from '../../projections/read-model.ts'
import { refusalText } from './texts.ts'

/** An answer to the message in the chat. */
export async function answer(context: Context, text: string, keyboard?: InlineKeyboard): Promise<void> {
  const message = context.msg
  await context.reply(text, {
    link_preview_options: { is_disabled: true },
    ...(message && {
      reply_parameters: { message_id: message.message_id, allow_sending_without_reply: true },
    }),
    ...(keyboard && { reply_markup: keyboard }),
  })
}

/** Why the ledger did not do what was asked, or cannot answer. Waiting is for whoever asked: he can ask again. */
export function whyNot(error: LedgerError | ReadModelError): string {
  if (error instanceof ReadModelError) return notNow
  const { fault } = error
  return isDomainRefusal(fault) ? refusalText(fault) : notNow
}

const domainRefusals: ReadonlySet<string> = new Set([
  'incident-not-found',
  'incident-exists',
  'illegal-transition',
  'incident-closed',
  'incident-full',
  'too-many-labels',
  'occurred-in-future',
] satisfies Refusal['code'][])

function isDomainRefusal(fault: LedgerError['fault']): fault is Refusal {
  return domainRefusals.has(fault.code)
}

const notNow = 'The ledger cannot answer now. Please try again in a while.'
