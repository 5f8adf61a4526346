import { Readable } from 'node:stream'
import { CsvError, parse } from 'csv-parse'
import { MalformedFile, type Problem } from './plan.ts'
import { longestLineBytes, newlinesIn, readLines } from './text.ts'

const noValue = new Set(['', '?'])

/** The values of a row by column; absent where the file has none: `?`, or nothing at all. */
export interface CsvRow<Column extends string> {
  /** Where the row begins, from 1; the header is line 1. */
  readonly line: number
  readonly values: Readonly<Partial<Record<Column, string>>>
}

/**
 * The rows of a CSV file (RFC 4180, UTF-8, with a header) one after the other; of each, the given columns. A row that has more
 * or fewer fields than the header is a problem of its own, and the next one is read.
 * @throws MalformedFile naming the line, where a quote makes it uncertain where the next row begins, where the text is not
 * UTF-8, or where a column is missing.
 */
export async function* readCsv<Column extends string>(
  file: string,
  columns: readonly Column[],
): AsyncGenerator<CsvRow<Column> | Problem> {
  let header: readonly string[] | undefined
  for await (const { line, record } of records(file)) {
    if (header === undefined) {
      header = headerWith(record, columns)
    } else if (record.length === header.length) {
      yield { line, values: valuesOf(record, header, columns) }
    } else {
      const reason = `has ${record.length} fields where the header has ${header.length}`
      yield { kind: 'not-taken', line, number: undefined, reason }
    }
  }
  if (header === undefined) throw new MalformedFile('line 1: there is no header, for the file is empty')
}

interface NumberedRecord {
  readonly line: number
  readonly record: readonly string[]
}

async function* records(file: string): AsyncGenerator<NumberedRecord> {
  const parser = parse({
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: longestLineBytes,
  })
  const source = Readable.from(textOf(file))
  source.on('error', (error) => parser.destroy(error))
  let lastLine = 0
  try {
    // With `info: true` csv-parse wraps each record, which its types do not say.
    for await (const { record, info } of source.pipe(parser) as AsyncIterable<{
      record: readonly string[]
      info: { lines: number }
    }>) {
      lastLine = info.lines
      yield { line: lastLine - newlinesIn(record.join('')), record }
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    const reason = error.message.replaceAll(/\s+/g, ' ')
    throw new MalformedFile(`line ${lastLine + 1}: the row that begins here is no CSV (${reason})`, {
      cause: error,
    })
  } finally {
    source.destroy()
    parser.destroy()
  }
}

/** With \n for every end of a line: csv-parse counts a \r\n within quotes as two lines. */
async function* textOf(file: string): AsyncGenerator<string> {
  for await (const { text } of readLines(file)) yield text.replaceAll('\r\n', '\n')
}

function headerWith(record: readonly string[], columns: readonly string[]): readonly string[] {
  const missing = columns.filter((column) => !record.includes(column))
  if (missing.length > 0) throw new MalformedFile(`line 1: the header has no column ${missing.join(', ')}`)
  return record
}

function valuesOf<Column extends string>(
  record: readonly string[],
  header: readonly string[],
  columns: readonly Column[],
): CsvRow<Column>['values'] {
  const values: Partial<Record<Column, string>> = {}
  for (const column of columns) {
    const value = record[header.indexOf(column)]?.trim()
    if (value !== undefined && !noValue.has(value)) values[column] = value
  }
  return values
}
