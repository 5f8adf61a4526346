import { readFileSync } from 'node:fs'

const page = readFileSync(new URL('../../../docs/event-store-node.md', import.meta.url), 'utf8')

/** The rows of a table of docs/event-store-node.md, by the heading above it. */
export function documentedRows(heading: string): readonly (readonly string[])[] {
  const [, section = ''] = page.split(`\n## ${heading}\n`)
  const [table = ''] = section.split('\n## ')
  const rows = [...table.matchAll(/^\|(.*)\|$/gm)].map(([, row = '']) =>
    row.split('|').map((cell) => cell.trim()),
  )
  return rows.filter(([first = '']) => first.startsWith('`'))
}

/** The client's methods that the first column of such a table names. */
export function methodsUnder(heading: string): readonly string[] {
  return documentedRows(heading).flatMap(([methods = '']) =>
    [...methods.matchAll(/`(\w+)`/g)].map(([, name = '']) => name),
  )
}
