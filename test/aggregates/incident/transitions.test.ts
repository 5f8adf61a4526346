import { describe, expect, it } from 'vitest'
import {
  allowedFrom,
  decide,
  isReopening,
  type Status,
  statuses,
} from '../../../src/aggregates/incident/index.ts'
import { during, fold, given, historyTo, moved } from './specification.ts'

/** The table of the design, written out a second time: a row is from, a column is to, in the order of `statuses`. */
const table: Readonly<Record<Status, string>> = {
  new: '=YYY-',
  in_progress: '-=YY-',
  on_hold: '-Y=Y-',
  resolved: '-Y-=Y',
  closed: '----=',
}

const pairs = statuses.flatMap((from) =>
  statuses.map((to, column) => ({ from, to, mark: table[from].charAt(column) })),
)
const legal = pairs.filter(({ mark }) => mark === 'Y')
const illegal = pairs.filter(({ mark }) => mark === '-')
const same = pairs.filter(({ mark }) => mark === '=')

function change(to: Status) {
  return { type: 'ChangeStatus', body: { status: to }, ...during(9) } as const
}

it('says of every pair of statuses what may follow', () => {
  expect(pairs).toHaveLength(25)
  expect([legal, illegal, same].map((some) => some.length)).toEqual([9, 11, 5])
})

describe('a legal change of status', () => {
  it.each(legal)('$from → $to appends one event', ({ from, to }) => {
    given(...historyTo[from])
      .when(change(to))
      .thenAppends(moved(from, to, 9))
    expect(fold([...historyTo[from], moved(from, to, 9)]).status).toBe(to)
  })
})

describe('an illegal change of status', () => {
  it.each(illegal)('$from → $to is refused and names what is allowed', ({ from, to }) => {
    const allowed = legal.filter((pair) => pair.from === from).map((pair) => pair.to)
    given(...historyTo[from])
      .when(change(to))
      .thenRefused({ code: 'illegal-transition', from, to, allowed })
  })
})

describe('asking for the status that already is', () => {
  it.each(same)('$from → $to is success and appends nothing', ({ from, to }) => {
    given(...historyTo[from])
      .when(change(to))
      .thenNothing()
  })
})

it('lets nothing follow closed', () => {
  expect(allowedFrom('closed')).toEqual([])
})

it('calls resolved → in_progress, and nothing else, a reopening', () => {
  const reopenings = pairs.filter(({ from, to }) => isReopening(from, to))
  expect(reopenings).toEqual([{ from: 'resolved', to: 'in_progress', mark: 'Y' }])
})

it('reaches every status from new', () => {
  const reached = new Set<Status>(['new'])
  for (const from of reached) for (const to of allowedFrom(from)) reached.add(to)
  expect([...reached].sort()).toEqual([...statuses].sort())
})

it('keeps the reason of a change, and only one that was given', () => {
  const reason = 'Waiting for the vendor'
  given(...historyTo.new)
    .when({ type: 'ChangeStatus', body: { status: 'on_hold', reason }, ...during(9) })
    .thenAppends({
      type: 'IncidentStatusChanged',
      data: { from: 'new', to: 'on_hold', reason },
      ...during(9),
    })
  const decision = decide(change('on_hold'), fold(historyTo.new))
  expect(decision.ok && decision.events[0]?.data).not.toHaveProperty('reason')
})
