import { createHash, createHmac, randomUUID } from 'node:crypto'

/** What a client of the service does to sign a request, by RFC 9421 and RFC 9530, written apart from the verifier. */
export function signedHeaders(
  request: {
    readonly method: string
    readonly url: string
    readonly body?: string
    readonly headers?: Record<string, string>
  },
  signer: {
    readonly keyId: string
    readonly secret: string
    readonly createdS: number
    readonly nonce?: string
    readonly components?: readonly string[]
    readonly label?: string
  },
): Record<string, string> {
  const { keyId, secret, createdS, nonce = randomUUID(), label = 'sig' } = signer
  const headers: Record<string, string> = {
    ...request.headers,
    ...(request.body !== undefined && {
      'content-type': 'application/json',
      'content-digest': `sha-256=:${createHash('sha256').update(request.body).digest('base64')}:`,
    }),
  }
  const components = signer.components ?? ['@method', '@target-uri', ...Object.keys(headers)]
  const parameters = `(${components.map((name) => `"${name}"`).join(' ')});created=${createdS};keyid="${keyId}";nonce="${nonce}";alg="hmac-sha256"`
  const lines = components.map((name) => {
    const value = { '@method': request.method, '@target-uri': request.url }[name] ?? headers[name]
    return `"${name}": ${value}`
  })
  const base = [...lines, `"@signature-params": ${parameters}`].join('\n')
  const signature = createHmac('sha256', secret).update(base).digest('base64')
  return { ...headers, 'signature-input': `${label}=${parameters}`, signature: `${label}=:${signature}:` }
}
