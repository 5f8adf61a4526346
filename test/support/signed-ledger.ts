/** What an auditor with the public key does with a running service, over its API alone. */
import { checkpointText, readCheckpoint, type TreeCheckpoint } from '../../src/audit/checkpoint.ts'
import { growingTree, type Hash, hashOfLeaf } from '../../src/audit/merkle.ts'
import { noteVerifier, readNote, verifiedSignatures } from '../../src/audit/signed-note.ts'
import { entriesOf, entriesPath, tileWidth } from '../../src/audit/tiles.ts'
import { accessKey, type ServiceProcess } from './service-process.ts'
import { waitFor } from './wait-for.ts'

type Addressed = Pick<ServiceProcess, 'url'>

export async function fetched(service: Addressed, path: string): Promise<Response> {
  return fetch(`${service.url}${path}`, { headers: { 'x-access-key': accessKey } })
}

/** What the newest note says, its signature checked. */
export async function newestCheckpoint(service: Addressed): Promise<TreeCheckpoint & { note: string }> {
  const [note, keys] = await Promise.all(
    ['/ledger/checkpoint', '/ledger/key'].map(async (path) => (await fetched(service, path)).text()),
  )
  return { ...verified(note ?? '', keys ?? ''), note: note ?? '' }
}

export function verified(note: string, keys: string): TreeCheckpoint {
  const read = readNote(note)
  const verifiers = keys.trimEnd().split('\n').map(noteVerifier)
  if (verifiedSignatures(read, verifiers).length === 0) throw new Error('no signature holds')
  const checkpoint = readCheckpoint(read.text)
  if (checkpointText(checkpoint) !== read.text) throw new Error('the checkpoint is not canonical')
  return checkpoint
}

export function checkpointOver(service: Addressed, size: number) {
  return waitFor(
    async () => {
      const found = await newestCheckpoint(service).catch(() => undefined)
      return found && found.size >= size ? found : undefined
    },
    { describe: `${size} events are signed` },
  )
}

/** The entries of the first `size` events, from the tiles of entries. */
export async function servedEntries(service: Addressed, size: number): Promise<Buffer[]> {
  const entries: Buffer[] = []
  for (let index = 0; index * tileWidth < size; index += 1) {
    const width = Math.min(tileWidth, size - index * tileWidth)
    const answer = await fetched(service, `/ledger/${entriesPath(index, width)}`)
    if (!answer.ok) throw new Error(`a bundle of ${width} entries is not served: ${answer.status}`)
    entries.push(...entriesOf(Buffer.from(await answer.arrayBuffer())))
  }
  return entries
}

export function rootOf(entries: readonly Uint8Array[]): Hash {
  const tree = growingTree()
  for (const entry of entries) tree.append(hashOfLeaf(entry))
  return tree.root()
}
