import type { Terminal } from '../../src/cli/terminal.ts'

/** A terminal that nobody looks at, and what was said on it. */
export function recordedTerminal(): Terminal & { readonly said: { out: string; err: string } } {
  const said = { out: '', err: '' }
  const stream = (name: 'out' | 'err') => ({
    write: (text: string | Uint8Array) => {
      said[name] += String(text)
      return true
    },
  })
  return { said, out: stream('out'), err: stream('err') }
}
