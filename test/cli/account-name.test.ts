import { userInfo } from 'node:os'
import { expect, it, vi } from 'vitest'
import { accountName } from '../../src/cli/account-name.ts'

vi.mock('node:os', async (original) => ({ ...(await original<object>()), userInfo: vi.fn() }))

it('is the name of the account, or its number where it has none', () => {
  vi.mocked(userInfo).mockReturnValueOnce({ username: 'ops' } as ReturnType<typeof userInfo>)
  expect(accountName()).toBe('ops')
  vi.mocked(userInfo).mockImplementationOnce(() => {
    throw new Error('uv_os_get_passwd returned ENOENT')
  })
  expect(accountName()).toBe(`uid ${process.getuid?.()}`)
})
