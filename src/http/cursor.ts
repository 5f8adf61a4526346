import type { z } from 'zod'
import type { Keyring } from '../ledger/ledger.ts'
import { HttpProblem } from './problems.ts'

const purpose = 'http-cursor'

export interface Cursors<Place> {
  /** The cursor of the page after `place`, of the list that `list` describes. */
  readonly write: (list: unknown, place: Place) => string
  /** @throws HttpProblem `invalid-cursor` for one that we did not write, or wrote for another list. */
  readonly read: (list: unknown, cursor: string) => Place
}

/**
 * Cursors say after which item a page begins (keyset paging). They are opaque to callers and signed together with the route,
 * filters and sort of the list, so that one never silently continues another list.
 */
export function cursorsOf<Place>(
  keyring: Pick<Keyring, 'sign' | 'verify'>,
  route: string,
  place: z.ZodType<Place>,
): Cursors<Place> {
  const signed = (list: unknown, encoded: string) => JSON.stringify([route, list, encoded])
  return {
    write: (list, item) => {
      const encoded = Buffer.from(JSON.stringify(item)).toString('base64url')
      return `${encoded}.${keyring.sign(purpose, signed(list, encoded))}`
    },
    read: (list, cursor) => {
      const dot = cursor.indexOf('.')
      const encoded = cursor.slice(0, Math.max(dot, 0))
      if (dot < 1 || !keyring.verify(purpose, signed(list, encoded), cursor.slice(dot + 1))) {
        throw new HttpProblem('invalid-cursor', {
          errors: [
            { path: '/cursor', message: 'must be one that this list gave, with these filters and this sort' },
          ],
        })
      }
      return place.parse(JSON.parse(Buffer.from(encoded, 'base64url').toString()))
    },
  }
}
