import { userInfo } from 'node:os'

/** Of the account that runs a command. A container may run under a number that has no name. */
export function accountName(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}
