import { MalformedRequest } from './append-messages.ts'
import { describedBy } from './events.ts'

/** Far more than a name needs: it is matched by filters and sent with every event. */
const MAX_NAME_BYTES = 16 * 1024

/** What is wrong with a stream's name, if anything. */
export function faultOfName(name: string): MalformedRequest | undefined {
  if (name === '') return new MalformedRequest('the request names no stream')
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) {
    return new MalformedRequest(`a stream's name may have ${MAX_NAME_BYTES} bytes`)
  }
  const described = describedBy(name)
  return described === '' || describedBy(described ?? '') !== undefined
    ? new MalformedRequest(`no stream can have the name "${name}": metadata have no metadata`)
    : undefined
}

/** As faultOfName, of a stream that is to be deleted. */
export function faultOfDeletion(name: string): MalformedRequest | undefined {
  if (describedBy(name) === undefined) return faultOfName(name)
  return new MalformedRequest(
    `"${name}" holds metadata, which are replaced by others or go with their stream`,
  )
}
