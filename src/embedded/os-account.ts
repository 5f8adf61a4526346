import { readFile, stat } from 'node:fs/promises'

/** The user and group that a child process is to run as. */
export type OsAccount = { readonly uid: number; readonly gid: number }

const preferredNames = ['postgres', 'nobody']

/**
 * The account that must run a server which refuses to be root, or undefined when this process is not root and so may run it itself.
 * A directory that the server has used before decides, by its owner; else an account that every system has. None is ever created.
 */
export async function unprivilegedAccount(directory: string): Promise<OsAccount | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const owner = await stat(directory).catch(() => undefined)
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  if (owner) {
    throw new Error(
      `${directory} belongs to root, as whom Postgres does not run: chown -R it to an account that it may run as`,
    )
  }
  const accounts = parsePasswd(await readFile('/etc/passwd', 'utf8'))
  const account = preferredNames.map((name) => accounts.get(name)).find((found) => found !== undefined)
  if (account) return account
  throw new Error(
    'Postgres does not run as root, and there is no account postgres or nobody: start the service as a normal user',
  )
}

/** The lines of passwd(5): name, password, uid, gid, and more that is of no interest here. */
function parsePasswd(passwd: string): Map<string, OsAccount> {
  const accounts = new Map<string, OsAccount>()
  for (const line of passwd.split('\n')) {
    const [name, , uid, gid] = line.split(':')
    if (name && uid && gid) accounts.set(name, { uid: Number(uid), gid: Number(gid) })
  }
  return accounts
}
