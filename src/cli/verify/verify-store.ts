import { readFile } from 'node:fs/promises'
import { setImmediate as othersTurn } from 'node:timers/promises'
import { verifyStore } from '../../audit/store-verification.ts'
import type { RecordedEvent } from '../../embedded/event-store/events.ts'
import { type LogFile, openLogFile } from '../../embedded/event-store/log-file.ts'
import {
  openStoredLedger,
  type StoredBytes,
  type StoredLedger,
  storedEntry,
  storedNote,
} from '../../ledger/stored-log.ts'
import { checkpointStream, isLedgerStream } from '../../ledger/streams.ts'
import type { ExitCode } from '../exit-code.ts'
import { openProgress } from '../progress.ts'
import { serviceClient } from '../service-client.ts'
import { logOverHttp } from './log-over-http.ts'
import { tellLogVerdict } from './verdict.ts'
import { keysNamedBy, type VerifyLogOptions } from './verify-log.ts'

export interface VerifyStoreOptions extends Omit<VerifyLogOptions, 'url' | 'stateFile'> {
  /** A connection string, or where a node's file is, or a backup of it. */
  readonly store: string
  /** Of a service whose tiles the events are to be held against. */
  readonly url: URL | undefined
}

/**
 * Verifies every event and note that an event store itself holds.
 * @throws Error of one line where the store cannot be read, or the service cannot be asked.
 */
export async function verifyStoreAt(options: VerifyStoreOptions): Promise<ExitCode> {
  const { store: place, url, knownFiles, accessKey, terminal, json, signal } = options
  const known = await Promise.all(knownFiles.map((file) => readFile(file, 'utf8')))
  const served = url && logOverHttp(serviceClient({ url, accessKey, signal }))
  const isGivenKeys = options.verifiers.length > 0
  const verifiers = isGivenKeys || !served ? options.verifiers : await keysNamedBy(served)
  const store = openStore(place)
  const progress = openProgress(terminal, 'events')
  const onProgress = progress.update
  const verdict = await verifyStore({ store, verifiers, known, served, onProgress, signal })
    .finally(progress.stop)
    .finally(store.close)
  const { note, events } = verdict
  return tellLogVerdict(verdict, {
    type: 'store',
    name: `What the event store at ${nameOf(place)} holds`,
    what: `every event and note of it${url ? `, and the tiles of ${url.href}` : ''}`,
    isGivenKeys,
    remarks: [
      ...unsigned(events - (note?.checkpoint.size ?? events)),
      ...(known.length === 0 ? [unknown] : []),
    ],
    terminal,
    json,
  })
}

const unknown =
  'No --known was given: an end that was cut off together with its notes, or a history that was signed anew with the same key, does not show.'

function unsigned(events: number): string[] {
  return events > 0 ? [`The last ${events} events are under no note yet: nothing is said of them.`] : []
}

const connectionString = /^(?:esdb|kurrentdb)(?:\+discover)?:\/\//

function openStore(place: string): StoredLedger {
  return connectionString.test(place) ? openStoredLedger(place) : ledgerInFile(openLogFile(place))
}

/** Without the user and the password that a connection string may carry. */
function nameOf(place: string): string {
  return place.replace(/^([a-z+]+:\/\/)[^@/]*@/, '$1')
}

function ledgerInFile(file: LogFile): StoredLedger {
  return {
    async *entries() {
      for (const page of file.events(isLedgerStream)) {
        await othersTurn() // the file is read at once: neither Ctrl-C nor the progress would be heard of
        yield page.map((event) => storedEntry(bytesOf(event)))
      }
    },
    async *notes() {
      for (const page of file.stream(checkpointStream)) {
        yield page.map((event) => storedNote(bytesOf(event)))
      }
    },
    newest: async () => {
      const last = file.last(checkpointStream)
      return last && storedNote(bytesOf(last))
    },
    close: async () => file[Symbol.dispose](),
  }
}

function bytesOf({ streamName, ...event }: RecordedEvent): StoredBytes {
  return { ...event, stream: streamName }
}
