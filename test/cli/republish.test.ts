import { expect, test } from 'vitest'
import { republish } from '../../src/cli/republish.ts'
import { recordedTerminal } from './recorded-terminal.ts'

function republication(publishedIndex: number | undefined) {
  const begun: true[] = []
  return {
    begun,
    publishedIndex,
    topics: { events: 'incidents.events', state: 'incidents.state' },
    begin: async () => void begun.push(true),
    [Symbol.asyncDispose]: async () => {},
  }
}

test('without --yes it tells what is repeated, and changes nothing', async () => {
  const terminal = recordedTerminal()
  const plan = republication(41)
  expect(await republish({ republication: plan, yes: false, terminal, json: false })).toBe(2)
  expect(plan.begun).toHaveLength(0)
  const told = terminal.said.out
  expect(told).toContain('published up to its event 41')
  expect(told).toMatch(/incidents\.events {2}gets every event of the ledger again/)
  expect(told).toContain('same ce_id, ce_sequence and ce_ledgerindex')
  expect(told).toContain('Run it again with --yes')
})

test('with --yes it begins', async () => {
  const terminal = recordedTerminal()
  const plan = republication(undefined)
  expect(await republish({ republication: plan, yes: true, terminal, json: true })).toBe(0)
  expect(plan.begun).toHaveLength(1)
  expect(JSON.parse(terminal.said.out)).toEqual({
    type: 'republish',
    begun: true,
    publishedIndex: null,
    topics: { events: 'incidents.events', state: 'incidents.state' },
  })
})
