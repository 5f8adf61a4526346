/** Whether an event store is where its ledger lives: what the events of `ledger-genesis` say that follow the first one. */
import { z } from 'zod'

/**
 * `copying`, `given-up`: a copy of the ledger of another store that is not complete. `retiring`: what is appended from now on may not be
 * copied any more. `retired`: the ledger lives elsewhere.
 */
export type Tenure =
  | { readonly state: 'open' }
  | { readonly state: 'copying'; readonly from: string; readonly copy: string }
  | { readonly state: 'given-up'; readonly from: string; readonly copy: string }
  | { readonly state: 'retiring'; readonly to: string; readonly copy: string; readonly retirement: string }
  | { readonly state: 'retired'; readonly to: string; readonly retirement: string; readonly at: string }

/** Of the first event. */
export const beginningType = 'LedgerBegun'

export const tenureTypes = {
  copyBegun: 'LedgerCopyBegun',
  copyGivenUp: 'LedgerCopyGivenUp',
  copied: 'LedgerCopied',
  retiring: 'LedgerRetiring',
  retirementWithdrawn: 'LedgerRetirementWithdrawn',
  retired: 'LedgerRetired',
} as const

/**
 * `from`, `to`: the other store, without credentials. `copy`: the id of the copy's LedgerCopyBegun, and `retirement` of the source's
 * LedgerRetiring, which tie both sides together. Times are ISO 8601, in UTC.
 */
const said = {
  [tenureTypes.copyBegun]: z.object({ from: z.string(), at: z.string() }),
  [tenureTypes.copyGivenUp]: z.object({ at: z.string() }),
  [tenureTypes.copied]: z.object({ from: z.string(), retirement: z.string(), at: z.string() }),
  [tenureTypes.retiring]: z.object({ to: z.string(), copy: z.string(), at: z.string() }),
  [tenureTypes.retirementWithdrawn]: z.object({ at: z.string() }),
  [tenureTypes.retired]: z.object({ to: z.string(), retirement: z.string(), at: z.string() }),
}

/** Rotations of the secret and moves between stores are made by hand. */
export const mostGenesisEvents = 10_000

export interface GenesisEvent {
  readonly id: string
  readonly type: string
  readonly data: unknown
}

/** Throws Error of one line where an event of it is not as this version writes it: nothing may be taken for open by mistake. */
export function tenureOf(events: readonly GenesisEvent[]): Tenure {
  return events.reduce<Tenure>(
    (before, event) => {
      const { type, id } = event
      switch (type) {
        case tenureTypes.copyBegun:
          return { state: 'copying', from: read(type, event).from, copy: id }
        case tenureTypes.copyGivenUp:
          return before.state === 'copying'
            ? { state: 'given-up', from: before.from, copy: before.copy }
            : before
        case tenureTypes.retiring:
          return { state: 'retiring', ...read(type, event), retirement: id }
        case tenureTypes.retired:
          return { state: 'retired', ...read(type, event) }
        case tenureTypes.copied:
        case tenureTypes.retirementWithdrawn:
          return { state: 'open' }
        default:
          return before
      }
    },
    { state: 'open' },
  )
}

/** The retirement at the source that made a copy of it complete, of the last copy; undefined where the ledger began here. */
export function copyOf(events: readonly GenesisEvent[]): { readonly retirement: string } | undefined {
  const last = events.findLast(({ type }) => type === tenureTypes.copied)
  return last && read(tenureTypes.copied, last)
}

export function isTenureType(type: string): boolean {
  return Object.values<string>(tenureTypes).includes(type)
}

function read<Type extends keyof typeof said>(type: Type, { data }: GenesisEvent) {
  const { success, data: parsed } = said[type].safeParse(data)
  if (success) return parsed as z.output<(typeof said)[Type]> // the schema was chosen by the type
  throw new Error(`the event store's ledger-genesis has an event ${type} that this version cannot read`)
}
