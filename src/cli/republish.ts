import { type ExitCode, exitCode } from './exit-code.ts'
import { type Terminal, writeJson } from './terminal.ts'

/** What the command needs of the publisher's republication. */
export interface Republication extends AsyncDisposable {
  /** Index of the last event that was published, -1 for none; undefined where Kafka does not say. */
  readonly publishedIndex: number | undefined
  readonly topics: { readonly events: string; readonly state: string }
  readonly begin: () => Promise<void>
}

export interface RepublishOptions {
  readonly republication: Republication
  /** Whether the user has agreed to what it repeats. */
  readonly yes: boolean
  readonly terminal: Terminal
  readonly json: boolean
}

/** Sends the publisher back to the ledger's first event; without the user's yes, tells only what that repeats. */
export async function republish({ republication, yes, terminal, json }: RepublishOptions): Promise<ExitCode> {
  const { publishedIndex, topics } = republication
  if (yes) await republication.begin()
  if (json)
    writeJson(terminal, { type: 'republish', begun: yes, publishedIndex: publishedIndex ?? null, topics })
  else
    terminal.out.write(
      yes ? begun : `${toldBefore(republication)}Nothing is changed yet. Run it again with --yes to begin.\n`,
    )
  return yes ? exitCode.done : exitCode.usage
}

const begun = `The publisher begins again with the ledger's first event. A service that runs does so within seconds; /health tells how far it is.
`

function toldBefore({ publishedIndex, topics }: Republication): string {
  const { events, state } = topics
  return `${soFar(publishedIndex)}
Republishing repeats all of it and goes on from there:
  ${events}  gets every event of the ledger again, from the first, behind what it has. Subscribers see each event that
    they had a second time, with the same ce_id, ce_sequence and ce_ledgerindex: those who handle each ce_id once need do
    nothing, all others act twice.
  ${state}  gets the states of every incident again, from its first: who reads it sees incidents go back in time, until the
    publisher has caught up.
To begin with empty topics instead, stop the service, delete both topics, and then republish.
`
}

function soFar(publishedIndex: number | undefined): string {
  if (publishedIndex === undefined)
    return 'How far the ledger is published is not known: Kafka has no position of the publisher.'
  if (publishedIndex < 0)
    return 'Nothing of the ledger is published yet, or it was sent back to the first event already.'
  return `The ledger is published up to its event ${publishedIndex}, that is ${publishedIndex + 1} events with those that are not of incidents.`
}
