import { setTimeout as delay } from 'node:timers/promises'
import { openClient, request } from './load.ts'

export interface Visibility {
  /** From the sending of a report to the end of the first list that showed it, in ascending order; one for each report. */
  readonly latenciesMs: readonly number[]
  /** Reports that the service turned away, because it had too much to do: none where it keeps up. */
  readonly refused: number
  /** Lists that were asked for while the reports came, a second. */
  readonly listsPerSecond: number
}

const pageSize = 20
/** Between the answer to one question for the list and the next question. */
const pauseMs = 1
const givenUpAfterMs = 10_000
/** With so many reports unanswered the service is no longer keeping up. */
const mostUnderWay = 500

/**
 * Reports evenly, whatever becomes of the ones before, and asks for the list without end, newest first: every report is a sample. The
 * reports of the first `warmUpMs` are none.
 */
export async function measureVisibility(
  port: number,
  headers: Readonly<Record<string, string>>,
  report: object,
  { perSecond, warmUpMs, durationMs }: { perSecond: number; warmUpMs: number; durationMs: number },
): Promise<Visibility> {
  const client = openClient(port)
  const sentMs: number[] = []
  const shownMs: number[] = []
  let shown = 0
  let refused = 0
  let lists = 0
  let listsPerSecond = 0
  let underWay = 0
  let writing = true
  const startMs = performance.now()

  const failed = new AbortController()
  const reports: Promise<void>[] = []
  const orFail = (work: Promise<void>) => work.catch((error) => failed.abort(error))
  const watching = orFail(watch())
  try {
    for (; performance.now() - startMs < warmUpMs + durationMs; await delay(1)) {
      failed.signal.throwIfAborted()
      if (underWay > mostUnderWay) throw new Error(`this machine cannot take ${perSecond} reports/s now`)
      const due = ((performance.now() - startMs) / 1_000) * perSecond
      while (sentMs.length < due) reports.push(orFail(write(sentMs.length)))
    }
    listsPerSecond = lists / ((performance.now() - startMs) / 1_000)
    await Promise.all(reports)
    writing = false
    await watching
    failed.signal.throwIfAborted()
  } finally {
    client.close()
  }
  const latenciesMs = sentMs.flatMap((sent, n) =>
    sent - startMs < warmUpMs || shownMs[n] === undefined ? [] : [shownMs[n] - sent],
  )
  return { latenciesMs: latenciesMs.sort((a, b) => a - b), refused, listsPerSecond }

  async function write(n: number): Promise<void> {
    const body = JSON.stringify({ ...report, title: `sample ${n}` })
    sentMs[n] = performance.now()
    underWay += 1
    const type = { 'content-type': 'application/json' }
    const { status } = await client.ask(request('POST', '/incidents', { ...headers, ...type }, body))
    underWay -= 1
    if (status === 503) refused += 1
    else if (status !== 201) throw new Error(`a report was answered ${status}`)
  }

  async function watch(): Promise<void> {
    let quietSinceMs = performance.now()
    while (writing || shown + refused < sentMs.length) {
      if (await look()) quietSinceMs = performance.now()
      else if (!writing) await look({ further: true })
      if (performance.now() - quietSinceMs > givenUpAfterMs)
        throw new Error('a report does not come into the list')
      await delay(pauseMs)
    }
  }

  /**
   * Takes note of what the list shows for the first time, page by page, as long as a page has such a report or `further` asks for
   * the rest: one that was decided first may be appended after others, and is then below them.
   */
  async function look({ cursor = '', further = false } = {}): Promise<boolean> {
    const path = `/incidents?limit=${pageSize}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`
    const { status, body } = await client.ask(request('GET', path, headers))
    if (status === 503) return false
    if (status !== 200) throw new Error(`the list was answered ${status}`)
    const nowMs = performance.now()
    lists += 1
    let isNew = 0
    for (const [, n] of body.matchAll(/"title":"sample (\d+)"/g)) {
      if (shownMs[Number(n)] !== undefined) continue
      shownMs[Number(n)] = nowMs
      isNew += 1
    }
    shown += isNew
    const { nextCursor }: { nextCursor: string | null } = JSON.parse(body)
    if ((isNew > 0 || further) && nextCursor) await look({ cursor: nextCursor, further })
    return isNew > 0
  }
}
