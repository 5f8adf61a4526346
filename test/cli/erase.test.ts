import { describe, expect, test } from 'vitest'
import { eraseIncident } from '../../src/cli/erase.ts'
import { rotateSecret } from '../../src/cli/rotate-secret.ts'
import { openMemoryStore } from '../ledger/support/memory-store.ts'
import { context, ledgerOn, report } from '../ledger/support/requests.ts'
import { recordedTerminal } from './recorded-terminal.ts'

const { signal } = new AbortController()

describe('on the command line', () => {
  test('an incident is erased, and told so; a second time says that nothing is left', async () => {
    const ledger = await ledgerOn(openMemoryStore())
    const { incident } = await ledger.incidents.report(report({ title: 'Miller' }), context())
    const said = async (json: boolean) => {
      const terminal = recordedTerminal()
      await eraseIncident(incident.id, {
        ledger,
        terminal,
        json,
        reason: 'request 17',
        correlationId: 'command-17',
      })
      return terminal.said.out
    }
    expect(await said(false)).toBe(`The personal data of ${incident.id} is erased, up to its revision 0.\n`)
    expect(await said(false)).toBe('Nothing was recorded since it was erased.\n')
    expect(JSON.parse(await said(true))).toMatchObject({ type: 'erasure', outcome: 'unchanged', revision: 1 })
    const [first] = await ledger.history.events(incident.id)
    expect(first?.event.data).toMatchObject({ title: null })
    const last = (await ledger.history.events(incident.id)).at(-1)
    expect(last).toMatchObject({ metadata: { $correlationId: 'command-17' } })
  })

  test('the secret is rotated: every vault is put under the current one, and told how many', async () => {
    const store = openMemoryStore()
    await (await ledgerOn(store)).incidents.report(report(), context())
    const secret = {
      current: { version: 2, value: 'another secret of a test' },
      previous: [{ version: 1, value: 'a secret of a test' }],
    }
    const ledger = await ledgerOn(store, { secret })
    const said = async (json: boolean) => {
      const terminal = recordedTerminal()
      await rotateSecret({ ledger, terminal, json, signal })
      return terminal.said.out
    }
    expect(await said(false)).toMatch(
      /^\d+ vaults are under the current secret now, and no key is under an older one\.\n$/,
    )
    expect(await said(false)).toBe('Every data key was under the current secret already.\n')
    expect(JSON.parse(await said(true))).toEqual({ type: 'secret-rotated', vaults: 0 })
  })
})
