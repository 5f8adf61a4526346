import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { metadataStream } from '../streams.ts'
import { jsonProposal } from './genesis-events.ts'
import type { RawStore } from './raw-store.ts'
import type { StreamMetadata, Survey } from './survey.ts'

interface Sides {
  readonly source: RawStore
  readonly target: RawStore
  readonly survey: Survey
  /** As they are at the target, by stream; kept up. */
  readonly metadata: Map<string, StreamMetadata>
  readonly vaults: Map<string, string>
}

/** Streams keep at the target as many events as at the source. Must come before their events, or old vaults would stay. */
export async function copyMetadata({ target, survey, metadata }: Sides, signal: AbortSignal): Promise<void> {
  for (const [stream, about] of survey.metadata()) {
    signal.throwIfAborted()
    // Where a stream was cut off is told in revisions, which its vault has others of at the target.
    const { $tb: _, ...wanted } = about
    if (Object.keys(wanted).length === 0 || isDeepStrictEqual(metadata.get(stream), wanted)) continue
    await replace(target, metadataStream(stream), jsonProposal(randomUUID(), '$metadata', wanted))
    metadata.set(stream, wanted)
  }
}

/** Of each vault that is another at the source, what it consists of now: no version before it comes along. Returns how many. */
export async function copyVaults(
  { source, target, survey, vaults }: Sides,
  signal: AbortSignal,
): Promise<number> {
  let copied = 0
  for (const [stream, id] of survey.vaults()) {
    signal.throwIfAborted()
    if (vaults.get(stream) === id) continue
    const living = (await source.readStream(stream)).at(-1)
    if (!living) continue
    await replace(target, stream, living)
    vaults.set(stream, living.id)
    copied += 1
  }
  return copied
}

/** Appends behind whatever is there; what is there already is not appended again. */
async function replace(
  target: RawStore,
  stream: string,
  event: Parameters<RawStore['append']>[1][number],
): Promise<void> {
  for (;;) {
    const last = (await target.readStream(stream)).at(-1)
    if (last?.id === event.id) return
    if ((await target.append(stream, [event], last?.revision ?? -1)) === 'appended') return
  }
}
