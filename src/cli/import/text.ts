import { isUtf8 } from 'node:buffer'
import { createReadStream } from 'node:fs'
import { MalformedFile } from './plan.ts'

/** No line of an import is longer: what is, is no text file, or one whose lines have lost their ends. */
export const longestLineBytes = 1024 * 1024

const newline = 0x0a
const byteOrderMark = '\ufeff'

/** Whole lines, their ends included, of which the first is the file's line `line`. */
export interface Lines {
  readonly line: number
  readonly text: string
}

/**
 * A UTF-8 text file by blocks of whole lines, a byte order mark left off. Holds one block at a time.
 * @throws MalformedFile naming the line that is not UTF-8, or too long.
 */
export async function* readLines(file: string): AsyncGenerator<Lines> {
  let line = 1
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    const bytes = Buffer.concat([rest, chunk])
    const end = bytes.lastIndexOf(newline) + 1
    rest = bytes.subarray(end)
    if (end > 0) {
      const text = decoded(bytes.subarray(0, end), line)
      yield { line, text }
      line += newlinesIn(text)
    }
    if (rest.length > longestLineBytes) {
      throw new MalformedFile(`line ${line}: is longer than ${longestLineBytes} bytes`)
    }
  }
  if (rest.length > 0) yield { line, text: decoded(rest, line) }
}

export function newlinesIn(text: string): number {
  return text.split('\n').length - 1
}

function decoded(bytes: Buffer, firstLine: number): string {
  if (!isUtf8(bytes)) throw new MalformedFile(notUtf8(bytes, firstLine))
  const text = bytes.toString('utf8')
  return firstLine === 1 && text.startsWith(byteOrderMark) ? text.slice(byteOrderMark.length) : text
}

function notUtf8(bytes: Buffer, firstLine: number): string {
  let line = firstLine
  let start = 0
  for (let end = bytes.indexOf(newline); end >= 0 && isUtf8(bytes.subarray(start, end)); line += 1) {
    start = end + 1
    end = bytes.indexOf(newline, start)
  }
  return `line ${line}: is not UTF-8; convert the file first, with iconv for instance`
}
