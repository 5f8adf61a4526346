/** A stranger: wrong keys and bad signatures, as fast as one core sends them. */
import { request, runLoad } from './load.ts'

const [port = '', durationMs = ''] = process.argv.slice(2)
const wrong = [
  request('GET', '/incidents', { 'x-access-key': 'a-key-that-there-is-not-at-all' }),
  request('GET', '/incidents', {
    'signature-input':
      'sig=("@method" "@target-uri");created=1700000000;keyid="none";nonce="0123456789abcdef"',
    signature: 'sig=:AAAA:',
  }),
]
let sent = 0
process.send?.('begun')
const { requests } = await runLoad({
  port: Number(port),
  connections: 32,
  durationMs: Number(durationMs),
  next: () => wrong[sent++ % wrong.length] ?? '',
})
process.send?.({ requests })
process.disconnect?.()
