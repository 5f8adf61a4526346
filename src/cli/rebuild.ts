import type { rebuild as rebuildReadModel } from '../projections/rebuild.ts'
import { openProgress } from './progress.ts'
import { type Terminal, writeJson } from './terminal.ts'

export interface RebuildOptions extends Omit<Parameters<typeof rebuildReadModel>[0], 'onProgress'> {
  readonly rebuildReadModel: typeof rebuildReadModel
  readonly terminal: Terminal
  readonly json: boolean
}

/** Makes the read model anew from the events, beside the one that goes on answering, and puts it in its place. */
export async function rebuild(options: RebuildOptions): Promise<void> {
  const { rebuildReadModel, terminal, json, databaseUrl, ledger, signal } = options
  const startedMs = Date.now()
  const progress = openProgress(terminal, 'events')
  const onProgress = progress.update
  const events = await rebuildReadModel({ databaseUrl, ledger, signal, onProgress }).finally(progress.stop)
  const seconds = (Date.now() - startedMs) / 1_000
  if (json) writeJson(terminal, { type: 'rebuild', events, seconds })
  else
    terminal.out.write(
      `The read model is made anew in ${seconds.toFixed(1)} s. It contains ${events} events, as many as the one before it.\n`,
    )
}
