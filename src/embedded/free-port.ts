import { once } from 'node:events'
import { createServer } from 'node:net'

/** A TCP port that nothing on 127.0.0.1 listens on. It is not reserved: whoever then listens there must bear finding it taken. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') throw new Error('the probe listens on no TCP port')
  return address.port
}
