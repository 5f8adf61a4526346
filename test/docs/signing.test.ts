/** The clients of docs/api.md that sign a request, each run as it stands there. */
import { execFile, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { openAccessKeys } from '../../src/http/access-keys.ts'
import { call, keys, startService } from '../http/support/service.ts'

const page = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8')
const [, section = ''] = /^## Signed requests$([\s\S]*?)^## /m.exec(page) ?? []
const run = promisify(execFile)

const clients = [
  { language: 'sh', tools: ['sh', 'curl', 'openssl'], command: (code: string) => ['sh', '-euc', code] },
  { language: 'python', tools: ['python3'], command: (code: string) => ['python3', '-c', code] },
  {
    language: 'ts',
    tools: [],
    command: (code: string) => [process.execPath, '--input-type=module-typescript', '-e', code],
  },
] as const

test.each(clients)('the client in $language is taken, once', async ({ language, tools, command }) => {
  const missing = tools.filter((tool) => spawnSync('which', [tool]).status !== 0)
  if (missing.length > 0) {
    console.log(`the client in ${language} is not run: this machine has no ${missing.join(', ')}`)
    return
  }
  const { service, environment } = await startSigning()
  const [, code = ''] = new RegExp(`^\`\`\`${language}$([\\s\\S]*?)^\`\`\`$`, 'm').exec(section) ?? []
  expect(code.trim().split('\n').length).toBeLessThanOrEqual(20)
  const [program = '', ...args] = command(code)
  const { stdout } = await run(program, args, { env: { PATH: process.env.PATH, ...environment } })
  expect(JSON.parse(stdout)).toMatchObject({ status: 'new', source: 'operator' })
  expect(service.ledger.records[0]?.metadata.actor).toMatchObject({ id: environment.KEY_ID })
})

/** A service that listens, and a key that opens it to signed requests only. */
async function startSigning() {
  const inner = startService()
  const accessKeys = await openAccessKeys({
    configured: { value: keys.all, isDefault: false },
    directory: { ...inner.directory, isCurrent: () => true },
    clock: Date.now,
    onError: () => {},
  })
  const { register, directory } = inner
  const service = startService({ accessKeys, register, directory, clock: Date.now })
  const body = { name: 'signer', scopes: ['write'], requiresSignature: true }
  const issued = (await call(service, 'POST', '/access-keys', body)).json()
  await service.app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = service.app.server.address() as AddressInfo
  const environment = {
    LEDGER: `http://127.0.0.1:${port}`,
    KEY_ID: issued.id as string,
    SIGNING_SECRET: issued.signingSecret as string,
  }
  return { service, environment }
}
