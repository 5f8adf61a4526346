/** What the lease of the nonces promises, with processes, connections and memories that are lost. nonce-lease.ts argues it. */
import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import pg from 'pg'
import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Nonces } from '../../../src/http/signed-requests/nonces.ts'
import { openNoncesInPostgres } from '../../../src/http/signed-requests/nonces-in-postgres.ts'
import { openNoncesInRedis } from '../../../src/http/signed-requests/nonces-in-redis.ts'
import { migrate } from '../../../src/projections/database.ts'
import { type Relay, startRelay } from '../../projections/relay.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { startRedis, type TestRedis } from '../../support/redis.ts'
import { isMissing } from '../../support/services.ts'
import { waitFor } from '../../support/wait-for.ts'

const log = pino({ level: 'silent' })
const keepMs = 370_000
const program = fileURLToPath(new URL('support/nonce-process.ts', import.meta.url))

interface User {
  /** true, false, or why it is not known; and whether it was known at once. */
  readonly use: (nonce?: string, createdMs?: number) => Promise<{ outcome: unknown; atOnce: boolean }>
}

interface Memory {
  readonly url: () => string
  /** Empty, and as old as need be. */
  readonly renew: () => Promise<void>
  /** As a crash does it. */
  readonly lose: () => Promise<void>
  readonly close: () => Promise<void>
}

const memories: Record<string, () => Promise<Memory>> = {
  Postgres: async () => {
    let database: TestDatabase | undefined
    const query = async (text: string) => {
      const client = new pg.Client({ connectionString: database?.url })
      await client.connect()
      await client.query(text)
      await client.end()
    }
    return {
      url: () => database?.url ?? '',
      renew: async () => {
        await database?.drop()
        database = await createTestDatabase()
        await migrate(database.url)
      },
      lose: () => query('TRUNCATE ledger.used_nonce, ledger.nonce_memory, ledger.nonce_process'),
      close: async () => database?.drop(),
    }
  },
  Redis: async () => {
    const redis: TestRedis = await startRedis()
    const client = new Redis(redis.url)
    return {
      url: () => redis.url,
      renew: async () => {
        await redis.flush()
        const nonces = openNoncesInRedis(redis.url, log)
        const begun = 'incident-ledger:{nonces}:memory'
        await waitFor(() => client.hexists(begun, 'begun'), { describe: 'the memory has begun' })
        await nonces.close()
        await client.hset(begun, 'begun', '0')
      },
      lose: () => redis.flush(),
      close: async () => {
        client.disconnect()
        await redis.close()
      },
    }
  },
}

describe.each([
  { store: 'Postgres', missing: isMissing('Postgres') },
  { store: 'Redis', missing: isMissing('Redis') },
])('with the memory in $store', ({ store, missing }) => {
  let memory: Memory
  beforeAll(async () => {
    const make = memories[store]
    if (!missing && make) memory = await make()
  })
  beforeEach(() => (missing ? undefined : memory.renew()))
  afterAll(() => memory?.close())

  function openNonces(url = memory.url()): Nonces {
    return store === 'Redis' ? openNoncesInRedis(url, log) : openNoncesInPostgres(url, log)
  }

  /** In this process. */
  function open(url?: string): User & { readonly close: () => Promise<void> } {
    const nonces = openNonces(url)
    let closing: Promise<void> | undefined
    const close = () => {
      closing ??= nonces.close()
      return closing
    }
    onTestFinished(close)
    return {
      close,
      use: async (nonce = randomUUID(), createdMs = Date.now()) => {
        const answer = nonces.use('key', nonce, createdMs, keepMs)
        const outcome = await Promise.resolve(answer).catch((error: Error) => error.message)
        return { outcome, atOnce: typeof answer === 'boolean' }
      },
    }
  }

  /** In a process of its own. */
  function start() {
    const child = fork(program, [memory.url()])
    let ids = 0
    onTestFinished(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    })
    return {
      use: (nonce: string = randomUUID(), createdMs = Date.now()) =>
        new Promise<{ outcome: unknown; atOnce: boolean }>((resolve) => {
          const id = ++ids
          const hear = (answer: { id: number; outcome: unknown; atOnce: boolean }) => {
            if (answer.id !== id) return
            child.off('message', hear)
            resolve({ outcome: answer.outcome, atOnce: answer.atOnce })
          }
          child.on('message', hear)
          child.send({ id, nonce, createdMs })
        }),
      signal: (signal: NodeJS.Signals) => child.kill(signal),
      kill: async () => {
        child.kill('SIGKILL')
        await once(child, 'exit')
      },
    }
  }

  const alone = (user: User) =>
    waitFor(
      async () => {
        const { outcome, atOnce } = await user.use()
        return outcome === true && atOnce
      },
      { describe: 'it takes signatures by itself' },
    )
  const taking = (user: User) =>
    waitFor(async () => (await user.use()).outcome === true, { describe: 'signatures are taken' })

  test.skipIf(missing)('a process that is alone answers at once, and takes each nonce once', async () => {
    const user = open()
    const before = randomUUID()
    await waitFor(async () => (await user.use(before)).outcome === true, { describe: 'it answers' })
    await alone(user)
    const nonce = randomUUID()
    const createdMs = Date.now()
    expect(await user.use(nonce, createdMs)).toEqual({ outcome: true, atOnce: true })
    expect((await user.use(nonce, createdMs)).outcome).toBe(false)
    expect((await user.use(before)).outcome).toBe(false)
    // What is created later than its lease is sure to last is asked of the store.
    const ahead = randomUUID()
    expect(await user.use(ahead, Date.now() + 9_000)).toEqual({ outcome: true, atOnce: false })
    expect((await user.use(ahead, createdMs)).outcome).toBe(false)
  })

  test.skipIf(missing)(
    'with the first request of another, both take nonces once, and know those from before',
    async () => {
      const one = open()
      await alone(one)
      const nonce = randomUUID()
      expect(await one.use(nonce)).toMatchObject({ atOnce: true })
      const other = open()
      await taking(other)
      expect((await other.use(nonce)).outcome).toBe(false)
      const uses = await Promise.all(
        Array.from({ length: 20 }, (_, at) => (at % 2 ? one : other).use(`${nonce}-2`)),
      )
      expect(uses.filter(({ outcome }) => outcome === true)).toHaveLength(1)
      expect(uses.some(({ atOnce }) => atOnce)).toBe(false)
    },
  )

  test.skipIf(missing)(
    'a process that stops in order leaves all to the next, which need not wait',
    async () => {
      const one = open()
      await alone(one)
      const nonce = randomUUID()
      const createdMs = Date.now()
      await one.use(nonce, createdMs)
      await one.close()
      const next = open()
      await taking(next)
      expect((await next.use(nonce, createdMs)).outcome).toBe(false)
      expect((await next.use(randomUUID(), createdMs)).outcome).toBe(true)
      await alone(next)
      expect((await next.use(nonce, createdMs)).outcome).toBe(false)
    },
  )

  test.skipIf(missing)(
    'what a process took before it was killed is refused, and the rest is taken soon',
    async () => {
      const killed = start()
      await alone(killed)
      const nonce = randomUUID()
      const createdMs = Date.now()
      expect(await killed.use(nonce, createdMs)).toEqual({ outcome: true, atOnce: true })
      await killed.kill()
      const next = open()
      await taking(next)
      expect((await next.use(nonce, createdMs)).outcome).not.toBe(true)
    },
  )

  test.skipIf(missing)(
    'a process that was stopped and wakes up takes nothing that another took meanwhile',
    async () => {
      const stopped = start()
      await alone(stopped)
      const nonce = randomUUID()
      const createdMs = Date.now()
      expect(await stopped.use(nonce, createdMs)).toEqual({ outcome: true, atOnce: true })
      stopped.signal('SIGSTOP')
      const other = open()
      await taking(other)
      expect((await other.use(nonce, createdMs)).outcome).not.toBe(true)
      const theirs = randomUUID()
      const theirTime = Date.now()
      expect((await other.use(theirs, theirTime)).outcome).toBe(true)
      // It is asked before it can learn of anything.
      const answers = [stopped.use(theirs, theirTime), stopped.use(nonce, createdMs)]
      stopped.signal('SIGCONT')
      for (const { outcome } of await Promise.all(answers)) expect(outcome).not.toBe(true)
      await taking(stopped)
      expect((await stopped.use(theirs, theirTime)).outcome).toBe(false)
    },
  )

  test.skipIf(missing)(
    'a process that is cut off takes no new signature, and another goes on without it',
    async () => {
      await using relay: Relay = await startRelay(memory.url())
      const cutOff = open(relay.url)
      await alone(cutOff)
      const nonce = randomUUID()
      const createdMs = Date.now()
      expect(await cutOff.use(nonce, createdMs)).toEqual({ outcome: true, atOnce: true })
      relay.hold()
      const other = open()
      await taking(other)
      expect((await other.use(nonce, createdMs)).outcome).not.toBe(true)
      const theirs = randomUUID()
      const theirTime = Date.now()
      expect((await other.use(theirs, theirTime)).outcome).toBe(true)
      expect((await cutOff.use(theirs, theirTime)).outcome).not.toBe(true)
      expect((await cutOff.use()).outcome).not.toBe(true)
      relay.breakOff()
      await taking(cutOff)
      expect((await cutOff.use(theirs, theirTime)).outcome).toBe(false)
      expect((await cutOff.use(nonce, createdMs)).outcome).not.toBe(true)
      await cutOff.close()
    },
  )

  test.skipIf(missing)('a memory that is lost under a process that is alone is noticed', async () => {
    const one = open()
    await alone(one)
    const nonce = randomUUID()
    const createdMs = Date.now()
    expect(await one.use(nonce, createdMs)).toEqual({ outcome: true, atOnce: true })
    await memory.lose()
    const other = open()
    // In Redis, until it is connected.
    await waitFor(
      async () => String((await other.use(nonce, createdMs)).outcome).includes('not remembered'),
      {
        describe: 'the other knows that the memory was lost',
      },
    )
    await waitFor(async () => String((await one.use()).outcome).includes('not remembered'), {
      describe: 'the first knows it too',
    })
    expect((await one.use(nonce, createdMs)).outcome).not.toBe(true)
    expect((await other.use(randomUUID(), Date.now() + 60_000)).outcome).toBe(true)
  })
})
