/** docs/security.md names, for each threat, the tests that hold what answers it: they are there. */
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

test('every test that docs/security.md names is there', () => {
  const page = readFileSync(`${root}/docs/security.md`, 'utf8')
  const [, table = ''] = /^## Threats$([\s\S]*?)\n\n[^|]/m.exec(page) ?? []
  const named = [...table.matchAll(/^\|.*\|.*\| (`.*`) \|$/gm)].map(([, cell = '']) =>
    cell.slice(1, -1).split('`, `'),
  )
  expect(named.length).toBeGreaterThan(10)
  const tests = globSync('test/**/*.test.ts', { cwd: root })
    .map((file) => readFileSync(`${root}/${file}`, 'utf8'))
    .join('\n')
  expect(named.flat().filter((name) => !tests.includes(`'${name}'`))).toEqual([])
})
