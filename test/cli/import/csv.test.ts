import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readCsv } from '../../../src/cli/import/csv.ts'
import { MalformedFile } from '../../../src/cli/import/plan.ts'
import { longestLineBytes } from '../../../src/cli/import/text.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

async function rowsOf(content: string | Buffer) {
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'rows.csv')
  await writeFile(file, content)
  return await Array.fromAsync(readCsv(file, ['number', 'text']))
}

describe('the rows of a CSV file', () => {
  it('have the columns by name, in whatever order they stand, and none for ? and nothing', async () => {
    expect(await rowsOf('text,other,number\nhello,x,1\n?,x,2\n,x,3\n')).toEqual([
      { line: 2, values: { number: '1', text: 'hello' } },
      { line: 3, values: { number: '2' } },
      { line: 4, values: { number: '3' } },
    ])
  })

  it('are told by the line on which they begin, with quoted line ends, blank lines and CRLF between', async () => {
    const rows = await rowsOf('\ufeffnumber,text\r\n1,"two\r\nlines, ""quoted"""\r\n\r\n2,b\r\n3,c')
    expect(rows).toEqual([
      { line: 2, values: { number: '1', text: 'two\nlines, "quoted"' } },
      { line: 5, values: { number: '2', text: 'b' } },
      { line: 6, values: { number: '3', text: 'c' } },
    ])
  })

  it('with too many or too few fields are problems, and the next ones are read', async () => {
    expect(await rowsOf('number,text\n1\n2,b,c\n3,c\n')).toMatchObject([
      { kind: 'not-taken', line: 2, reason: 'has 1 fields where the header has 2' },
      { kind: 'not-taken', line: 3, reason: 'has 3 fields where the header has 2' },
      { line: 4, values: { number: '3' } },
    ])
  })

  it('keep their characters where a block of the file ends within one', async () => {
    const text = '€'.repeat(100)
    const lines = Array.from({ length: 1_000 }, (_, n) => `${n},${text}`)
    const rows = await rowsOf(`number,text\n${lines.join('\n')}\n`)
    expect(rows).toHaveLength(1_000)
    expect(rows.at(-1)).toEqual({ line: 1_001, values: { number: '999', text } })
    expect(new Set(rows.map((row) => 'values' in row && row.values.text))).toEqual(new Set([text]))
  })
})

describe('a file that cannot be read on from a line', () => {
  it.each([
    ['is empty', '', 'line 1'],
    ['has no such column', 'number\n1\n', 'line 1: the header has no column text'],
    ['has a quote that is never closed', 'number,text\n1,a\n2,"b\n3,c\n', 'line 3: '],
    ['has text after a closing quote', 'number,text\n1,a\n2,"b"c\n', 'line 3: '],
    ['has a quote within a field', 'number,text\n1,a"b\n', 'line 2: '],
    ['is not UTF-8', Buffer.from('number,text\n1,a\n2,caf\xe9\n3,c\n', 'latin1'), 'line 3: is not UTF-8'],
    ['has an endless line', `number,text\n1,${'x'.repeat(longestLineBytes + 1)}`, 'line 2: is longer than'],
  ])('%s is refused, and the line named', async (_, content, message) => {
    const error = await rowsOf(content).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(MalformedFile)
    expect(String(error)).toContain(message)
  })
})
