import type { Ledger } from '../ledger/ledger.ts'
import { type Terminal, writeJson } from './terminal.ts'

export interface RotateSecretOptions {
  readonly ledger: Pick<Ledger, 'rewrapKeys'>
  readonly terminal: Terminal
  readonly json: boolean
  readonly signal: AbortSignal
}

/** How often the number is told. */
const toldEvery = 100

/** Puts every data key that is under an older secret under the current one, while the service runs. */
export async function rotateSecret({ ledger, terminal, json, signal }: RotateSecretOptions): Promise<void> {
  const onProgress = (vaults: number) => {
    if (!json && vaults % toldEvery === 0) terminal.err.write(`${vaults} vaults\n`)
  }
  const vaults = await ledger.rewrapKeys({ signal, onProgress })
  if (json) return writeJson(terminal, { type: 'secret-rotated', vaults })
  terminal.out.write(
    vaults === 0
      ? 'Every data key was under the current secret already.\n'
      : `${vaults} vaults are under the current secret now, and no key is under an older one.\n`,
  )
}
