/** What options say, as the domain takes it. Each throws InvalidArgumentError. */
import { InvalidArgumentError } from 'commander'
import { type IncidentId, type Instant, incidentId, instant } from '../aggregates/incident/index.ts'

export function instantOption(text: string): Instant {
  const read = instant.safeParse(text)
  if (read.success) return read.data
  throw new InvalidArgumentError(`It ${read.error.issues[0]?.message}.`)
}

export function incidentOption(text: string): IncidentId {
  const read = incidentId.safeParse(text)
  if (read.success) return read.data
  throw new InvalidArgumentError('It must be a UUID.')
}
