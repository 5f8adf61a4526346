/** The pages point at what exists, and name the settings that there are. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { problems } from '../../src/http/problems.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const pages = [...globSync('*.md', { cwd: root }), ...globSync('docs/*.md', { cwd: root })]
const read = (page: string) => readFileSync(join(root, page), 'utf8')

test('the first two commands of the README are the two that a newcomer needs', () => {
  const blocks = [...read('README.md').matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].map(([, text]) => text)
  expect(blocks.slice(0, 2)).toEqual(['make run\n', 'make test\n'])
})

describe.each(pages)('%s', (page) => {
  const links = [...read(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)]

  test('links to files and headings that exist', () => {
    for (const [link, file = '', anchor] of links) {
      const target = file === '' ? page : join(dirname(page), file)
      expect(existsSync(join(root, target)), `${page}: ${link}`).toBe(true)
      if (anchor !== undefined) expect(anchors(target), `${page}: ${link}`).toContain(anchor)
    }
  })

  test('names only make targets that there are', () => {
    const targets = [...read('Makefile').matchAll(/^([a-z-]+):/gm)].map(([, target]) => target)
    const named = [...read(page).matchAll(/(?:^|`)make ([a-z-]+)/gm)].map(([, target]) => target)
    expect(targets).toEqual(expect.arrayContaining(named))
  })
})

test('docs/operations.md lists every setting of src/config.ts, and no other', () => {
  const settings = [...read('src/config.ts').matchAll(/^ {4}([A-Z][A-Z_]*): /gm)].map(([, name]) => name)
  const listed = [...read('docs/operations.md').matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, name]) => name)
  expect(listed.toSorted()).toEqual(settings.toSorted())
})

test('docs/api.md names every route', () => {
  const page = read('docs/api.md')
  const declared = globSync('src/http/**/*.ts', { cwd: root }).flatMap((file) =>
    [...read(file).matchAll(/\bapp\.(get|post|patch|delete)\('(\/[^']+)'/g)].map(
      ([, method = '', path = '']) => ({
        method: method.toUpperCase(),
        path: path.replaceAll(/:(\w+)/g, '{$1}'),
      }),
    ),
  )
  expect(declared).toContainEqual({ method: 'POST', path: '/incidents' })
  for (const { method, path } of declared) {
    const lines = page.split('\n').filter((line) => line.startsWith('|') && line.includes(method))
    expect(
      lines.some((line) => new RegExp(`[ \`]${RegExp.escape(path)}[\`?]`).test(line)),
      `${method} ${path}`,
    ).toBe(true)
  }
})

test('docs/operations.md names only metrics that there are', () => {
  const metrics = [...read('src/http/metrics.ts').matchAll(/'((?:http|ledger)_\w+)'/g)].map(
    ([, name]) => name,
  )
  const listed = [...read('docs/operations.md').matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, name]) => name)
  expect(listed).not.toHaveLength(0)
  expect(metrics).toEqual(expect.arrayContaining(listed))
})

test('docs/api.md tells every status that a problem can have, and no other', () => {
  const [, table = ''] = /^## Problems$([\s\S]*?)^## /m.exec(read('docs/api.md')) ?? []
  const told = [...table.matchAll(/^\| ([\d, ]+) \|/gm)].flatMap(([, statuses]) =>
    statuses?.split(', ').map(Number),
  )
  const own = new Set(Object.values(problems).map(({ status }) => status))
  expect(told.toSorted()).toEqual([...own].toSorted())
})

/** As GitHub makes them of headings. */
function anchors(page: string): readonly string[] {
  return [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}
