import type { IncidentId } from '../../aggregates/incident/index.ts'
import type { Ask } from '../service-client.ts'

/** The bundle of each incident, as the service gives it, which alone signs. @throws Error where it gives none. */
export async function* bundlesOf(incidents: AsyncIterable<IncidentId>, ask: Ask): AsyncGenerator<string> {
  for await (const incident of incidents) yield await bundleOf(incident, ask)
}

/** The text of one bundle, one line. @throws Error where the service has no such incident. */
export async function bundleOf(incident: IncidentId, ask: Ask): Promise<string> {
  const bundle = await ask(`/incidents/${incident}/proof`)
  if (bundle === undefined)
    throw new Error(`the service has no incident ${incident}: is it one of this ledger?`)
  return bundle.toString('utf8')
}
