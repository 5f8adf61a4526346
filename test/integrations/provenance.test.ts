import { expect, test } from 'vitest'
import { type Provenance, vouchedFor, vouchFor } from '../../src/integrations/provenance.ts'
import { openKeyring } from '../../src/ledger/keyring.ts'

const older = { version: 1, value: 'a secret of a test, long enough to be one' }
const newer = { version: 2, value: 'another secret of a test, long enough too' }
const keyring = openKeyring({ current: older, previous: [] })

const report = { source: 'telegram:1', id: 'a-message', value: '{"description":"Płatności stoją"}' }
const provenance: Provenance = {
  actor: { kind: 'telegram', id: 'a-keyed-hash', name: 'Żaneta "Z"' },
  origin: 'telegram:1',
  originRef: '-100200/7',
}

test('what was vouched for is heard as it was said', () => {
  const value = vouchFor(report, provenance, keyring)
  expect(vouchedFor(report, value, keyring)).toEqual(provenance)
  expect(vouchedFor({ ...report, value: Buffer.from(report.value) }, value, keyring)).toEqual(provenance)
  expect(value).toMatch(/^[\x21-\x7e]+$/)
})

test('it holds for the very report only: not under another id or source, nor with another text', () => {
  const value = vouchFor(report, provenance, keyring)
  for (const other of [
    { ...report, id: 'another' },
    { ...report, source: 'telegram:2' },
    { ...report, value: `${report.value} ` },
  ]) {
    expect(vouchedFor(other, value, keyring)).toBeUndefined()
  }
})

test('nobody without the secret can vouch, nor change what was said', () => {
  const foreign = openKeyring({
    current: { version: 1, value: 'a secret of somebody else, long enough' },
    previous: [],
  })
  const value = vouchFor(report, provenance, keyring)
  const [said = '', ...signature] = value.split('.')
  const other = Buffer.from(JSON.stringify({ ...provenance, originRef: '666/1' })).toString('base64url')
  for (const forged of [
    vouchFor(report, provenance, foreign),
    [other, ...signature].join('.'),
    `${said}.`,
    said,
    '.',
    '',
    'telegram',
  ]) {
    expect(vouchedFor(report, forged, keyring), forged).toBeUndefined()
  }
})

test('what was vouched for before the secret was replaced holds while the earlier one is known', () => {
  const value = vouchFor(report, provenance, keyring)
  expect(vouchedFor(report, value, openKeyring({ current: newer, previous: [older] }))).toEqual(provenance)
  expect(vouchedFor(report, value, openKeyring({ current: newer, previous: [] }))).toBeUndefined()
})
