/** What is taken of signatures, however they are read. */
export const algorithm = 'hmac-sha256'
export const nonceLength = { least: 16, most: 128 } as const

const derivedComponents = new Set([
  '@method',
  '@target-uri',
  '@authority',
  '@scheme',
  '@request-target',
  '@path',
  '@query',
])

/** Whether a component of this name can be covered. */
export function isTaken(name: string): boolean {
  return !name.startsWith('@') || derivedComponents.has(name)
}

export function hasNonceLength(nonce: string): boolean {
  return nonce.length >= nonceLength.least && nonce.length <= nonceLength.most
}
