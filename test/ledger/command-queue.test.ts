import { expect, test } from 'vitest'
import { openCommandQueue } from '../../src/ledger/command-queue.ts'
import { faultOf } from './support/requests.ts'

const later = Number.POSITIVE_INFINITY

test('tasks under one key run one after the other, in order; those under others do not wait', async () => {
  const queue = openCommandQueue(10)
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  const ran: string[] = []
  const first = queue.run('a', later, async () => {
    await gate
    ran.push('first')
  })
  const second = queue.run('a', later, async () => void ran.push('second'))
  await queue.run('b', later, async () => void ran.push('other'))
  open()
  await Promise.all([first, second])
  expect(ran).toEqual(['other', 'first', 'second'])
})

test('a task that fails fails its caller, and no other', async () => {
  const queue = openCommandQueue(10)
  const failing = queue.run('a', later, () => Promise.reject(new Error('of its own')))
  const next = queue.run('a', later, async () => 'done')
  await expect(failing).rejects.toThrow('of its own')
  expect(await next).toBe('done')
})

test('a full line takes no more, and takes again once it has moved', async () => {
  const queue = openCommandQueue(1)
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  const first = queue.run('a', later, () => gate)
  expect(await faultOf(queue.run('a', later, async () => 'begun'))).toEqual({ code: 'contended' })
  open()
  await first
  expect(await queue.run('a', later, async () => 'begun')).toBe('begun')
})

test('a task whose turn comes too late is not begun', async () => {
  const queue = openCommandQueue(10)
  expect(await faultOf(queue.run('a', performance.now() - 1, async () => 'begun'))).toEqual({
    code: 'contended',
  })
})
