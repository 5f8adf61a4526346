import { isProblem, type Problem, type SourceRow } from './plan.ts'

/** What a first reading of the rows finds: how many there are, and on which line each incident's last one is. */
export interface Survey {
  readonly rows: number
  readonly lastLines: ReadonlyMap<string, number>
}

/** Reads all rows and keeps none. */
export async function survey(rows: AsyncIterable<SourceRow | Problem>): Promise<Survey> {
  const lastLines = new Map<string, number>()
  let count = 0
  for await (const row of rows) {
    count += 1
    if (!isProblem(row)) lastLines.set(row.number, row.line)
  }
  return { rows: count, lastLines }
}

/**
 * The rows of each incident, all of them, as soon as its last one is read: where the rows of an incident stand together, one
 * incident at a time is held. What is no row of an incident goes through in its place.
 */
export async function* byIncident<Row extends SourceRow>(
  rows: AsyncIterable<Row | Problem>,
  { lastLines }: Survey,
): AsyncGenerator<readonly Row[] | Problem> {
  const held = new Map<string, Row[]>()
  for await (const row of rows) {
    if (isProblem(row)) {
      yield row
      continue
    }
    const all = held.get(row.number) ?? []
    all.push(row)
    held.set(row.number, all)
    if (row.line === lastLines.get(row.number)) {
      held.delete(row.number)
      yield all
    }
  }
}
