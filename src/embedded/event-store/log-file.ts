import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { logFile, openForReading } from './database.ts'
import { createEventReader } from './event-reader.ts'
import type { RecordedEvent } from './events.ts'

/** A log read from its file, without a node: what was committed when it was opened, also while a node uses it. */
export interface LogFile extends Disposable {
  /** The events of the streams that are wanted, oldest first, in pages. */
  readonly events: (isWanted: (streamName: string) => boolean) => Generator<readonly RecordedEvent[]>
  readonly stream: (name: string) => Generator<readonly RecordedEvent[]>
  readonly last: (stream: string) => RecordedEvent | undefined
}

/**
 * @param place a log's file (a backup, too), the folder of a node, or a folder with a node's folder `event-store` in it.
 * @throws EventStoreOpenError when there is none, it is not ours, or is not of this version's format.
 */
export function openLogFile(place: string): LogFile {
  const nested = logFile(join(place, 'event-store'))
  const path = [logFile(place), nested].find((file) => existsSync(file)) ?? place
  const database = openForReading(path)
  // An open read holds the moment.
  database.exec('BEGIN')
  const reader = createEventReader(database)
  return {
    *events(isWanted) {
      for (let after = 0; ; ) {
        const page = reader.allForwards(after)
        const last = page.at(-1)
        if (last === undefined) return
        yield page.filter(({ streamName }) => isWanted(streamName))
        after = last.position
      }
    },
    *stream(name) {
      const stream = reader.stream(name)
      if (stream === undefined) return
      for (let from = 0; ; ) {
        const page = reader.streamForwards(stream.id, from, stream.lastRevision)
        const last = page.at(-1)
        if (last === undefined) return
        yield page
        from = last.revision + 1
      }
    },
    last(name) {
      const stream = reader.stream(name)
      return stream && reader.streamBackwards(stream.id, stream.lastRevision, 0, 1).at(0)
    },
    [Symbol.dispose]: () => database.close(),
  }
}
