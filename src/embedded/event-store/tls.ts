import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { ServerCredentials } from '@grpc/grpc-js'

/** PEM files: the certificate, followed by those between it and the root if there are any, and its private key. */
export interface TlsFiles {
  readonly certificate: string
  readonly key: string
}

/** @throws Error, with a sentence, when a file cannot be read, is no PEM, or the two do not belong together. */
export function loadServerCredentials(files: TlsFiles): ServerCredentials {
  const certificate = readPem(files.certificate, 'certificate')
  const key = readPem(files.key, 'private key')
  try {
    createSecureContext({ cert: certificate, key })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(
      `${files.certificate} and ${files.key} are no certificate in PEM and its private key: ${reason}`,
      { cause },
    )
  }
  return ServerCredentials.createSsl(null, [{ cert_chain: certificate, private_key: key }])
}

function readPem(path: string, what: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`the TLS ${what} cannot be read: ${reason}`, { cause })
  }
}
