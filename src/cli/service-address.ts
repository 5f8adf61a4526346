/** Where the service is that a command asks, and the key that opens it. */
import { readFile } from 'node:fs/promises'
import { InvalidArgumentError } from 'commander'

/** What the configuration says of the service on this machine. */
export interface ConfiguredService {
  readonly url: URL
  readonly accessKey: string
}

const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/

/** An option's value. @throws InvalidArgumentError */
export function serviceUrl(text: string): URL {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new InvalidArgumentError('It must be http://… or https://…')
  }
  return url
}

/** The key of a file; without one, the configured key, which goes to no other machine. */
export async function accessKeyFor(
  { hostname }: URL,
  file: string | undefined,
  configured: () => ConfiguredService,
): Promise<string | undefined> {
  if (file !== undefined) return (await readFile(file, 'utf8')).trim()
  return loopback.test(hostname) ? configured().accessKey : undefined
}
