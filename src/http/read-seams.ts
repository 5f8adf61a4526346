import type { preHandlerHookHandler } from 'fastify'

/** What routes that read share. */
export interface ReadSeams {
  /** Waits for the Ledger-Position that the request sends, and sets the answer's. */
  readonly showingPosition: preHandlerHookHandler
  /** Milliseconds since the Unix epoch. */
  readonly clock: () => number
  /** A moment younger than this may still gain events. */
  readonly provisionalMs: number
}

type Given<Fields> = { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> }

/** The members that are not undefined: queries leave out what is not asked for. */
export function given<Fields extends object>(fields: Fields): Given<Fields> {
  // fromEntries forgets the names and types, which filtering keeps
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Given<Fields>
}
