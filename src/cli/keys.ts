import {
  type AccessKey,
  type AccessKeyId,
  type IssueBody,
  issueBody,
  standingAt,
} from '../aggregates/access-key/index.ts'
import type { KeyContext, Ledger } from '../ledger/ledger.ts'
import { openAccessKeyDirectory } from '../projections/access-key-directory.ts'
import { accountName } from './account-name.ts'
import { type Terminal, writeJson, writeTable } from './terminal.ts'

export interface KeysOptions {
  readonly ledger: Pick<Ledger, 'accessKeys'>
  readonly terminal: Terminal
  readonly json: boolean
  /** Of what is changed. */
  readonly correlationId: string
}

/** What `keys issue` was given on the command line. @throws Error with a sentence where it is no key. */
export function keyFrom(given: {
  readonly name: string
  readonly scopes: readonly string[]
  readonly expires?: string | undefined
  readonly requiresSignature: boolean
}): IssueBody {
  const { name, scopes, expires: expiresAt, requiresSignature } = given
  const read = issueBody.safeParse({ name, scopes, requiresSignature, ...(expiresAt && { expiresAt }) })
  if (read.success) return read.data
  const [issue] = read.error.issues
  throw new Error(`${String(issue?.path[0] ?? 'the key')}: ${issue?.message}`)
}

/** Issues a key and shows it, this once. A running service takes it within a second. */
export async function issueKey(
  body: IssueBody,
  { ledger, terminal, json, correlationId }: KeysOptions,
): Promise<void> {
  const { accessKey, key, signingSecret } = await ledger.accessKeys.issue(body, context(correlationId))
  if (json) {
    writeJson(terminal, { type: 'access-key', ...shown(accessKey), key, signingSecret })
    return
  }
  writeTable(terminal, [
    ['id', accessKey.id],
    ['name', accessKey.name],
    ['scopes', accessKey.scopes.join(', ')],
    ['expires', accessKey.expiresAt ?? 'never'],
    ['key', accessKey.requiresSignature ? 'not needed: it opens to signed requests only' : key],
    ['signing secret', signingSecret],
  ])
  terminal.err.write('Neither is kept, nor shown again.\n')
}

/** Lists every key that was issued, in the order of their issue. */
export async function listKeys({
  ledger,
  terminal,
  json,
}: Omit<KeysOptions, 'correlationId'>): Promise<void> {
  const stop = new AbortController()
  try {
    const directory = openAccessKeyDirectory(ledger.accessKeys, stop.signal)
    await directory.loaded
    const keys = directory.all().map(shown)
    if (json) for (const key of keys) writeJson(terminal, { type: 'access-key', ...key })
    else if (keys.length === 0) terminal.out.write('No access key was issued yet.\n')
    else {
      for (const { id, name, status, scopes, expiresAt } of keys) {
        const until = expiresAt === null ? '' : `  until ${expiresAt}`
        terminal.out.write(`${id}  ${status.padEnd(7)}  ${scopes.join(',').padEnd(22)}  ${name}${until}\n`)
      }
    }
  } finally {
    stop.abort()
  }
}

/** Revokes a key, for good. A running service, and every replica of it, knows within a second. */
export async function revokeKey(
  id: AccessKeyId,
  { ledger, terminal, json, correlationId }: KeysOptions,
): Promise<void> {
  const revoked = await ledger.accessKeys.revoke(id, context(correlationId))
  if (json) writeJson(terminal, { type: 'access-key', ...shown(revoked) })
  else terminal.out.write(`${revoked.name} is revoked.\n`)
}

function shown(key: AccessKey) {
  const { id, name, scopes, expiresAt, requiresSignature, issuedAt, updatedAt } = key
  const status = standingAt(key, new Date().toISOString())
  return { id, name, status, scopes, expiresAt, requiresSignature, issuedAt, updatedAt }
}

/** Whoever works on the machine of the service acts as the system itself. */
function context(correlationId: string): KeyContext {
  return {
    actor: { kind: 'system', id: 'command-line', name: `incident-ledger keys (${accountName()})` },
    correlationId,
  }
}
