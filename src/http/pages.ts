import { z } from 'zod'
import type { Cursors } from './cursor.ts'

/** `limit` of a list: as digits in the query string. */
export function pageSize({ standard, maximum }: { readonly standard: number; readonly maximum: number }) {
  return z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(1).max(maximum))
    .default(standard)
    .describe(`Items on the page, 1 to ${maximum}.`)
}

export const cursorParameter = z
  .string()
  .min(1)
  .max(2_000)
  .optional()
  .describe('`nextCursor` of the page before, with the same filters and sort.')

/**
 * The JSON of the page that a request asks for: what `find` has after the cursor's place.
 *
 * @param list what the cursor is bound to: filters and sort.
 * @throws HttpProblem `invalid-cursor`
 */
export async function keysetPage<Place, Item>(
  { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined },
  list: unknown,
  cursors: Cursors<Place>,
  find: (bounds: { readonly limit: number; readonly after?: Place }) => Promise<readonly Item[]>,
  placeOf: (item: Item) => Place,
): Promise<string> {
  const after = cursor === undefined ? {} : { after: cursors.read(list, cursor) }
  const found = await find({ limit: limit + 1, ...after })
  return page(found, limit, (last) => cursors.write(list, placeOf(last)))
}

/** One more than the page holds was asked for: whether there is a next page, and where it begins. */
function page<Item>(found: readonly Item[], limit: number, cursorAfter: (item: Item) => string): string {
  const items = found.slice(0, limit)
  const last = items.at(-1)
  const nextCursor = found.length > limit && last !== undefined ? cursorAfter(last) : null
  return JSON.stringify({ items, nextCursor })
}
