/** What the bot says: plain text, so that nothing in an incident's text is taken for markup. */
import type { Incident, Instant, Refusal, Status } from '../../aggregates/incident/index.ts'
import type { IncidentRecord } from '../../ledger/event.ts'
import { shortId } from '../../projections/short-ids.ts'

/** A page about the incident, or none where the service has no address for people. */
export type LinkTo = (id: Incident['id']) => string | undefined

export const statusWords: Readonly<Record<Status, string>> = {
  new: 'new',
  in_progress: 'in progress',
  on_hold: 'on hold',
  resolved: 'resolved',
  closed: 'closed',
}

export const help = [
  'A message here, or /report TEXT, reports an incident. Its first line becomes the title. Answers to messages are not reports.',
  '/open lists the incidents that are open.',
  '/status ID shows one, with buttons to change its status.',
  '/resolve ID resolves one.',
].join('\n')

/** Telegram's limit is 4,096 UTF-16 units; the longest of our messages has one remark and a title. */
const remarkShown = 2_000

/** What stands in the place of text that is gone. */
const erased = '(erased)'

export function summary(incident: Incident, linkTo: LinkTo): string {
  const { id, status, severity, title, assignee, reportedAt } = incident
  return lines(
    `${shortId(id)} · ${statusWords[status]} · ${severity}`,
    title ?? erased,
    `Reported ${minuteOf(reportedAt)}${assignee === null ? '' : `, assigned to ${assignee}`}`,
    linkTo(id),
  )
}

export function openList(incidents: readonly Incident[], more: boolean): string {
  if (incidents.length === 0) return 'No incident is open.'
  return lines(
    ...incidents.map(
      ({ id, status, severity, title }) =>
        `${shortId(id)} · ${statusWords[status]} · ${severity} · ${cut(title ?? erased, 100)}`,
    ),
    more ? 'These are the newest; there are more.' : undefined,
  )
}

/** Of an event, to whoever reported the incident. `incident`: as it was after the event. */
export function tidings({ event, metadata }: IncidentRecord, incident: Incident, linkTo: LinkTo): string {
  const id = shortId(incident.id)
  const by = `by ${metadata.actor.name ?? erased}`
  const link = linkTo(incident.id)
  switch (event.type) {
    case 'IncidentReported':
      return lines(
        `Reported as ${id} · ${statusWords[incident.status]} · ${incident.severity}`,
        incident.title ?? erased,
        link,
      )
    case 'IncidentStatusChanged':
      return lines(
        `${id} is ${statusWords[event.data.to]} (was ${statusWords[event.data.from]}), ${by}`,
        cut(event.data.reason ?? '', remarkShown),
        link,
      )
    case 'IncidentSeverityChanged':
      return lines(
        `${id} is of severity ${event.data.to} (was ${event.data.from}), ${by}`,
        cut(event.data.reason ?? '', remarkShown),
        link,
      )
    case 'IncidentAssigned':
      return lines(
        event.data.to === null
          ? `${id} is assigned to nobody any more, ${by}`
          : `${id} is assigned to ${event.data.to}, ${by}`,
        link,
      )
    case 'IncidentDetailsAmended':
      return lines(`${id} was amended ${by}`, incident.title ?? erased, link)
    case 'IncidentNoteAdded':
      return lines(`${id}: a note ${by}`, cut(event.data.text ?? erased, remarkShown), link)
    case 'IncidentPersonalDataErased':
      return lines(`${id}: its personal data was erased, ${by}`, link)
    default:
      return event satisfies never
  }
}

/** Why a command was refused, to whoever gave it. */
export function refusalText(refusal: Refusal): string {
  switch (refusal.code) {
    case 'incident-not-found':
      return 'There is no such incident.'
    case 'incident-exists':
      return 'It was reported already.'
    case 'illegal-transition':
      return `It is ${statusWords[refusal.from]} and cannot become ${statusWords[refusal.to]}.`
    case 'incident-closed':
      return 'It is closed, for good.'
    case 'incident-full':
      return `It has ${refusal.limit} events and takes no more: report a new one.`
    case 'too-many-labels':
      return `It would have more than ${refusal.limit} labels.`
    case 'occurred-in-future':
      return 'It was sent in the future, by the clock of the ledger: the clock must be wrong. It was not recorded.'
    default:
      return refusal satisfies never
  }
}

function lines(...parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== '').join('\n')
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1).toWellFormed()}…`
}

function minuteOf(at: Instant): string {
  return `${at.slice(0, 10)} ${at.slice(11, 16)} UTC`
}
