/** `node copy-process.ts FROM TO` copies, and prints how many events it has passed after each append. */
import { copyLedger } from '../../../src/ledger/copy/copy.ts'

const [, , from = '', to = ''] = process.argv
const { signal } = new AbortController()
await copyLedger({ from, to, signal, onProgress: (passed) => console.log(String(passed)) })
console.log('done')
