/** docker-compose.yml holds no secret of its own, and the `.env` that `make up` writes is right for it and for `make run`. */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseEnv } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readConfig } from '../src/config.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
/** What a ledger signs with, which one from before it was in .env has elsewhere. */
const signingKey = 'COMPOSE_LEDGER_SIGNING_KEY'
const secrets = ['X_ACCESS_KEY', 'COMPOSE_LEDGER_SECRET', 'POSTGRES_PASSWORD', 'REDIS_PASSWORD'] as const

let clone: string
beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), 'compose-'))
  for (const path of ['docker-compose.yml', 'Dockerfile', '.env.example', 'tools/write-env.sh']) {
    cpSync(join(root, path), join(clone, path))
  }
})
afterEach(() => rmSync(clone, { recursive: true, force: true }))

const writeEnv = () => execFileSync(join(clone, 'tools/write-env.sh'), { cwd: '/', stdio: 'pipe' })
const env = () => parseEnv(readFileSync(join(clone, '.env'), 'utf8'))

describe('tools/write-env.sh', () => {
  test('writes what only its owner can read, with a secret of 256 bits for each name that needs one', () => {
    writeEnv()
    expect(statSync(join(clone, '.env')).mode & 0o777).toBe(0o600)
    const written = env()
    expect(Object.keys(written).sort()).toEqual([...secrets, signingKey].sort())
    expect(new Set(Object.values(written)).size).toBe(secrets.length + 1)
    for (const name of secrets) expect(written[name], name).toMatch(/^[0-9a-f]{64}$/)
    const key = written[signingKey] ?? ''
    expect(Buffer.from(key, 'base64url')).toHaveLength(32)
    expect(readFileSync(join(clone, '.env'), 'utf8')).not.toMatch(/^#[A-Z_]*(SECRET|KEY)=./m)
    expect(readConfig({ LEDGER_SIGNING_KEY: key }, { root: clone }).signingKey).toBe(key)
  })

  test('writes what `make run` takes too, its own ledger keeping its own secret', () => {
    writeEnv()
    const config = readConfig({}, { root: clone })
    expect(config.accessKey).toEqual({ value: env().X_ACCESS_KEY, isDefault: false })
    expect(config.secret).toBeUndefined()
    expect(config.eventStoreUrl).toBeUndefined()
  })

  test('leaves a complete .env as it is', () => {
    writeEnv()
    const before = readFileSync(join(clone, '.env'), 'utf8')
    writeEnv()
    expect(readFileSync(join(clone, '.env'), 'utf8')).toBe(before)
  })

  test('leaves an .env from before the signing key was in it as it is: its ledger has a key', () => {
    writeEnv()
    const before = readFileSync(join(clone, '.env'), 'utf8').replace(
      new RegExp(`^${signingKey}=.*\\n`, 'm'),
      '',
    )
    writeFileSync(join(clone, '.env'), before)
    writeEnv()
    expect(readFileSync(join(clone, '.env'), 'utf8')).toBe(before)
  })

  test('leaves an incomplete .env as it is, and says what it lacks', () => {
    writeFileSync(join(clone, '.env'), 'PORT=4000\nX_ACCESS_KEY=0123456789012345678901234567\n')
    expect(writeEnv).toThrow(
      /needs more.*COMPOSE_LEDGER_SECRET=\S+.*POSTGRES_PASSWORD=\S+.*REDIS_PASSWORD=\S+/s,
    )
    expect(env()).toEqual({ PORT: '4000', X_ACCESS_KEY: '0123456789012345678901234567' })
  })

  test('does not follow a template that it cannot read into an empty .env', () => {
    rmSync(join(clone, '.env.example'))
    expect(writeEnv).toThrow()
    expect(() => statSync(join(clone, '.env'))).toThrow(/ENOENT/)
  })
})

describe('.env.example', () => {
  const template = readFileSync(join(root, '.env.example'), 'utf8')
  const documented = [...template.matchAll(/^#?([A-Z][A-Z_]*)=/gm)].map(([, name]) => name ?? '')

  test('documents every setting of src/config.ts', () => {
    const source = readFileSync(join(root, 'src/config.ts'), 'utf8')
    const settings = [...source.matchAll(/^ {4}([A-Z][A-Z_]*): /gm)].map(([, name]) => name ?? '')
    expect(settings).toContain('EVENTSTORE_URL')
    expect(documented).toEqual(expect.arrayContaining(settings))
  })

  test('documents nothing that the service would refuse to know, and shows the defaults', () => {
    const defaults = readConfig({}, { root: clone })
    writeFileSync(join(clone, '.env'), template.replaceAll(/^#([A-Z][A-Z_]*=)/gm, '$1'))
    expect(readConfig({}, { root: clone })).toEqual(defaults)
  })
})

describe('docker-compose.yml', () => {
  const text = readFileSync(join(root, 'docker-compose.yml'), 'utf8')

  test('takes every secret from .env, without a default', () => {
    for (const name of secrets) {
      const uses = [...text.matchAll(new RegExp(String.raw`\$\{${name}\b(.*?)\}`, 'g'))]
      expect(uses.length, name).toBeGreaterThan(0)
      for (const [use, rest] of uses) expect(rest, use).toBe(':?run make up, which writes .env')
    }
    const values = text.matchAll(/^ +[A-Z_]*(?:PASSWORD|SECRET|ACCESS_KEY|SIGNING_KEY)[A-Z_]*: (.*)$/gm)
    for (const [line, value] of values) expect(value, line).toMatch(/^\$\{[A-Z_]+:[?-].*\}$/)
    expect(text).toContain(` LEDGER_SIGNING_KEY: \${${signingKey}:-}\n`)
    expect(text).toContain(` LEDGER_SIGNING_KEY_PREVIOUS: \${${signingKey}_PREVIOUS:-}\n`)
  })

  test('publishes on the loopback address only', () => {
    const published = [...text.matchAll(/ports: (.*)$/gm)].map(([, ports]) => ports)
    expect(published).toEqual([expect.stringMatching(/^\['127\.0\.0\.1:[^,]*'\]$/)])
  })

  test('is valid, and refuses to start without .env', ({ skip }) => {
    const compose = composeCommand()
    if (!compose) {
      console.log('skipped: neither docker compose nor docker-compose is here to check docker-compose.yml')
      return skip('no docker compose')
    }
    const check = () =>
      execFileSync(compose[0], [...compose.slice(1), 'config'], {
        cwd: clone,
        env: { PATH: process.env.PATH, HOME: clone },
        stdio: 'pipe',
        encoding: 'utf8',
      })
    expect(check).toThrow(/run make up, which writes \.env/)
    writeEnv()
    const resolved = check()
    expect(resolved).toContain(env().POSTGRES_PASSWORD)
    expect(resolved.match(/condition: service_healthy/g)).toHaveLength(3)
    expect(resolved.match(/healthcheck:/g)).toHaveLength(4)
  })
})

function composeCommand(): readonly [string, ...string[]] | undefined {
  const candidates: readonly (readonly [string, ...string[]])[] = [['docker', 'compose'], ['docker-compose']]
  return candidates.find(([program, ...words]) => {
    try {
      execFileSync(program, [...words, 'version'], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  })
}
