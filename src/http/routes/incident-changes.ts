import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import {
  erasureBody,
  incidentId,
  noteBody,
  revisionBody,
  statusBody,
} from '../../aggregates/incident/index.ts'
import type { IncidentCommands } from '../../ledger/ledger.ts'
import { incidentAnswer } from '../answers.ts'
import { answerCommand, type CommandSeams, commandContext } from '../command-answer.ts'
import * as examples from '../examples.ts'
import type { App } from '../instance.ts'
import { operation } from '../operation.ts'
import type { ProblemSlug } from '../problems.ts'

const params = z.object({ id: incidentId.meta({ examples: [examples.incidentId] }) })
const bodies = {
  status: statusBody.meta({ id: 'StatusChange', examples: [examples.statusChange] }),
  revision: revisionBody.meta({ id: 'Revision', examples: [examples.revision] }),
  note: noteBody.meta({ id: 'Note', examples: [examples.note] }),
  erasure: erasureBody.meta({ id: 'Erasure', examples: [examples.erasure] }),
}

const common = {
  access: 'write',
  tag: 'Incidents',
  answers: {
    200: {
      description: 'The incident after the change, durable.',
      schema: incidentAnswer,
      headers: ['ETag', 'Ledger-Position', 'Ledger-Projection'],
    },
  },
  requestHeaders: ['Idempotency-Key', 'If-Match'],
} as const

const problems = [
  'incident-not-found',
  'incident-full',
  'revision-mismatch',
  'idempotency-key-reused',
  'contended',
  'outcome-unknown',
  'event-store-unavailable',
  'ledger-retired',
  'history-unreadable',
] as const satisfies readonly ProblemSlug[]

/** PATCH /incidents/{id}/status, PATCH /incidents/{id}, POST /incidents/{id}/notes, DELETE /incidents/{id}/personal-data */
export function incidentChanges(
  app: App,
  incidents: Pick<IncidentCommands, 'change'>,
  seams: CommandSeams,
): void {
  const statusRoute = operation(
    {
      ...common,
      summary: 'Change the status',
      description:
        'new → in_progress, on_hold, resolved; in_progress → on_hold, resolved; on_hold → in_progress, resolved; resolved → in_progress (a reopening), closed. closed is final. Asking for the status that is, is success and records nothing.',
      problems: [...problems, 'illegal-transition'],
    },
    { params, body: bodies.status },
  )
  app.patch('/incidents/:id/status', statusRoute, (request, reply) =>
    answerCommand('ChangeStatus', reply, seams, () =>
      incidents.change(
        request.params.id,
        { type: 'ChangeStatus', body: request.body },
        commandContext(request),
      ),
    ),
  )

  const revisionRoute = operation(
    {
      ...common,
      summary: 'Revise title, description, severity, assignee or labels',
      description:
        'A merge patch (RFC 7396): what is absent stays; null clears the assignee; labels are merged, null removes one. The status has a route of its own. What changes nothing records nothing.',
      consumes: ['application/merge-patch+json'],
      problems: [...problems, 'incident-closed', 'too-many-labels'],
    },
    { params, body: bodies.revision },
  )
  app.patch('/incidents/:id', revisionRoute, (request, reply) =>
    answerCommand('Revise', reply, seams, () =>
      incidents.change(request.params.id, { type: 'Revise', body: request.body }, commandContext(request)),
    ),
  )

  const noteRoute = operation(
    {
      ...common,
      summary: 'Add a note',
      description:
        'Adds a remark to the history of the incident, also of a closed one. Notes are never changed.',
      problems,
    },
    { params, body: bodies.note },
  )
  app.post('/incidents/:id/notes', noteRoute, (request, reply) =>
    answerCommand('AddNote', reply, seams, () =>
      incidents.change(
        request.params.id,
        { type: 'AddNote', noteId: randomUUID(), text: request.body.text },
        commandContext(request),
      ),
    ),
  )

  const erasureRoute = operation(
    {
      ...common,
      access: 'admin',
      audited: true,
      summary: 'Erase the personal data of an incident',
      description:
        'Everything that may be about a person and was recorded until now is gone for good, everywhere: title, description, assignee, labels, originRef, the texts of notes and reasons, the names of those who acted. Answers show null, and name it in `erased`; the history stays, and its proofs hold. Also of a closed incident. What is recorded later is kept as before. The reason given here is not erased with the rest: name a case, not a person. To erase again when nothing was recorded since is success and records nothing.',
      problems,
    },
    { params, body: bodies.erasure },
  )
  app.delete('/incidents/:id/personal-data', erasureRoute, (request, reply) =>
    answerCommand('ErasePersonalData', reply, seams, () =>
      incidents.change(
        request.params.id,
        { type: 'ErasePersonalData', body: request.body },
        commandContext(request),
      ),
    ),
  )
}
