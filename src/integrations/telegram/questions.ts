import { type Context, InlineKeyboard } from 'grammy'
import { allowedFrom, type Incident, type IncidentId, type Status } from '../../aggregates/incident/index.ts'
import { type Queries, ReadModelError } from '../../projections/read-model.ts'
import { shortId, shortIdForm } from '../../projections/short-ids.ts'
import { answer, whyNot } from './answer.ts'
import { changesOf, incidentOf } from './buttons.ts'
import { type LinkTo, openList, refusalText, statusWords, summary } from './texts.ts'

export interface QuestionOptions {
  readonly queries: Pick<Queries, 'incident' | 'incidents'>
  /** The incidents, a few at most, whose ids begin so. */
  readonly beginningWith: (beginning: string) => Promise<readonly IncidentId[]>
  readonly linkTo: LinkTo
}

const listed = 10
const openStatuses = ['new', 'in_progress', 'on_hold'] as const satisfies Status[]

/** /open */
export async function showOpen(context: Context, { queries }: QuestionOptions): Promise<void> {
  await answering(context, async () => {
    const pages = await Promise.all(
      openStatuses.map((status) => queries.incidents({ status, sort: '-reportedAt', limit: listed + 1 })),
    )
    const open = pages.flat().toSorted((a, b) => (a.reportedAt < b.reportedAt ? 1 : -1))
    const shown = open.slice(0, listed)
    const keyboard = new InlineKeyboard()
    for (const [place, { id }] of shown.entries()) {
      keyboard.text(shortId(id), `show ${id}`)
      if (place % 2 === 1) keyboard.row()
    }
    await answer(context, openList(shown, open.length > listed), keyboard)
  })
}

/** /status ID */
export async function showIncident(context: Context, options: QuestionOptions): Promise<void> {
  await withIncident(context, options, (incident) =>
    answer(context, summary(incident, options.linkTo), changesOf(incident)),
  )
}

/** /resolve ID: an id is easily mistyped, so that what it names is shown first. */
export async function askToResolve(context: Context, options: QuestionOptions): Promise<void> {
  await withIncident(context, options, async (incident) => {
    const { id, status } = incident
    const shown = summary(incident, options.linkTo)
    if (!allowedFrom(status).includes('resolved')) {
      return answer(context, `${shown}\n\nIt is ${statusWords[status]} already.`)
    }
    const keyboard = new InlineKeyboard().text('Resolve', `resolved ${id}`).text('Leave it', `show ${id}`)
    await answer(context, `${shown}\n\nResolve it?`, keyboard)
  })
}

/** Does `act` with the incident that the command names, or says why it cannot. */
async function withIncident(
  context: Context,
  { queries, beginningWith }: QuestionOptions,
  act: (incident: Incident) => Promise<void>,
): Promise<void> {
  const named = String(context.match ?? '')
    .trim()
    .toLowerCase()
  if (!shortIdForm.test(named)) {
    return answer(context, 'Which one? Send the id too: at least its first four characters.')
  }
  await answering(context, async () => {
    const [id, ...others] = await beginningWith(named)
    if (id === undefined) return answer(context, 'There is no incident with an id that begins so.')
    if (others.length > 0) {
      const ids = [id, ...others].join('\n')
      return answer(context, `More than one incident has an id that begins so. Send more of it:\n${ids}`)
    }
    const incident = await incidentOf(id, queries)
    return incident ? act(incident) : answer(context, refusalText({ code: 'incident-not-found' }))
  })
}

async function answering(context: Context, act: () => Promise<void>): Promise<void> {
  try {
    await act()
  } catch (error) {
    if (!(error instanceof ReadModelError)) throw error
    await answer(context, whyNot(error))
  }
}
