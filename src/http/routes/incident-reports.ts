import { reportBody } from '../../aggregates/incident/index.ts'
import type { IncidentCommands } from '../../ledger/ledger.ts'
import { incidentAnswer } from '../answers.ts'
import { answerCommand, type CommandSeams, commandContext } from '../command-answer.ts'
import * as examples from '../examples.ts'
import { callerOf } from '../guard.ts'
import type { App } from '../instance.ts'
import { operation } from '../operation.ts'

const body = reportBody.meta({ id: 'Report', examples: [examples.report] })

/** POST /incidents */
export function incidentReports(
  app: App,
  incidents: Pick<IncidentCommands, 'report'>,
  seams: CommandSeams,
): void {
  const headers = ['ETag', 'Location', 'Ledger-Position', 'Ledger-Projection'] as const
  const described = operation(
    {
      access: 'write',
      tag: 'Incidents',
      summary: 'Report an incident',
      description:
        'Records a new incident. With an `externalKey` of an incident of yours that is still open, the report joins that one (200, nothing is recorded); if the last one is resolved or closed, a new one begins. What the answer shows is durable.',
      answers: {
        201: { description: 'A new incident.', schema: incidentAnswer, headers },
        200: { description: 'The open incident that the report joined.', schema: incidentAnswer, headers },
      },
      requestHeaders: ['Idempotency-Key'],
      problems: [
        'occurred-in-future',
        'incident-exists',
        'incident-full',
        'idempotency-key-reused',
        'contended',
        'outcome-unknown',
        'event-store-unavailable',
        'ledger-retired',
        'history-unreadable',
      ],
    },
    { body },
  )

  app.post('/incidents', described, (request, reply) =>
    answerCommand('Report', reply, seams, () =>
      incidents.report(
        // The prefix keeps a key that is named like an integration out of that integration's external keys.
        { body: request.body, origin: `access-key:${callerOf(request).id}` },
        commandContext(request),
      ),
    ),
  )
}
