import { once } from 'node:events'
import { Writable } from 'node:stream'
import type { Stream } from '../terminal.ts'

const chunkCharacters = 64 * 1024

/** Writes lines as fast as they are taken. A reader that leaves early, as `head` does, ends it. @returns how many were written. */
export async function writeLines(lines: AsyncIterable<string>, out: Stream): Promise<number> {
  let chunk = ''
  let count = 0
  for await (const line of lines) {
    chunk += `${line}\n`
    count += 1
    if (chunk.length < chunkCharacters) continue
    if (!(await write(chunk, out))) return count
    chunk = ''
  }
  if (chunk !== '') await write(chunk, out)
  return count
}

/** Whether more is wanted. */
async function write(chunk: string, out: Stream): Promise<boolean> {
  if (out.write(chunk)) return true
  if (!(out instanceof Writable)) return true
  if (!out.writable) return false
  const left = new AbortController()
  try {
    // Of a pipe that nobody reads any more comes an error or a close, and never a drain.
    await Promise.race(['drain', 'close'].map((event) => once(out, event, { signal: left.signal })))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPIPE')) throw error
  } finally {
    left.abort()
  }
  return out.writable
}
