import { type Context, InlineKeyboard } from 'grammy'
import type { CallbackQuery } from 'grammy/types'
import {
  allowedFrom,
  type Incident,
  type IncidentId,
  incidentId,
  type Status,
  status as statusSchema,
} from '../../aggregates/incident/index.ts'
import { LedgerError } from '../../ledger/errors.ts'
import type { IncidentCommands } from '../../ledger/ledger.ts'
import { type Queries, ReadModelError } from '../../projections/read-model.ts'
import { whyNot } from './answer.ts'
import { isRefusal } from './bot-api.ts'
import type { TelegramIdentity } from './identity.ts'
import { type LinkTo, statusWords, summary } from './texts.ts'

export interface ButtonOptions {
  readonly identity: TelegramIdentity
  readonly incidents: Pick<IncidentCommands, 'change'>
  readonly queries: Pick<Queries, 'incident'>
  readonly linkTo: LinkTo
}

/** A button: a status to change to, or `show`. The message that it stands under then shows how things are. */
export async function pressed(context: Context, options: ButtonOptions): Promise<void> {
  const { queries, linkTo } = options
  const query = context.callbackQuery
  const [, deed, named] = Array.isArray(context.match) ? context.match : []
  const id = incidentId.safeParse(named)
  if (!query || !id.success) return
  const to = statusSchema.safeParse(deed)
  const asItIs = () => incidentOf(id.data, queries)
  try {
    const incident = await (to.success ? changed(id.data, to.data, query, options) : asItIs())
    if (!incident) throw new LedgerError({ code: 'incident-not-found' })
    await noted(context, to.success ? `It is ${statusWords[incident.status]}.` : '')
    await edited(context, summary(incident, linkTo), changesOf(incident))
  } catch (error) {
    if (!(error instanceof LedgerError || error instanceof ReadModelError)) throw error
    await noted(context, whyNot(error))
    const incident = await asItIs().catch(() => undefined)
    if (incident) await edited(context, summary(incident, linkTo), changesOf(incident))
  }
}

/** Once, however often Telegram says that the button was pressed. */
async function changed(
  id: IncidentId,
  to: Status,
  query: CallbackQuery,
  { identity, incidents }: ButtonOptions,
): Promise<Incident> {
  const key = identity.pressId(query.id)
  const { incident } = await incidents.change(
    id,
    { type: 'ChangeStatus', body: { status: to } },
    {
      actor: identity.actor(query.from),
      correlationId: key,
      causationId: key,
      idempotency: { scope: identity.origin, key, request: [id, to], pinned: true },
    },
  )
  return incident
}

const deeds: Readonly<Record<Exclude<Status, 'new'>, string>> = {
  in_progress: 'Start',
  on_hold: 'Put on hold',
  resolved: 'Resolve',
  closed: 'Close',
}

/** A button for each status that can follow. */
export function changesOf({ id, status }: Incident): InlineKeyboard {
  const keyboard = new InlineKeyboard()
  for (const to of allowedFrom(status)) {
    if (to === 'new') continue
    keyboard.text(status === 'resolved' && to === 'in_progress' ? 'Reopen' : deeds[to], `${to} ${id}`)
  }
  return keyboard
}

/** As it is now. Throws ReadModelError. */
export async function incidentOf(
  id: IncidentId,
  queries: ButtonOptions['queries'],
): Promise<Incident | undefined> {
  const stored = await queries.incident(id)
  return stored && (JSON.parse(stored.json) as Incident) // which is what is stored
}

/** A line that pops up. Telegram refuses one that comes late; then the message itself has to say it. */
async function noted(context: Context, text: string): Promise<void> {
  await context.answerCallbackQuery({ text }).catch(unlessRefused)
}

/** Refused where nothing would change, or the message is too old. */
async function edited(context: Context, text: string, keyboard: InlineKeyboard): Promise<void> {
  await context
    .editMessageText(text, { link_preview_options: { is_disabled: true }, reply_markup: keyboard })
    .catch(unlessRefused)
}

function unlessRefused(error: unknown): void {
  if (!isRefusal(error)) throw error
}
