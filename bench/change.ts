/**
 * `node bench/change.ts OTHER-CHECKOUT [CATCH-UPS]`: what a change costs. POST at this checkout beside POST at the other one, in rounds in turn; then the catch-up of
 * each, in turn. The other checkout needs its node_modules.
 */
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { request, runLoad } from './load.ts'
import { accessKey, type Running } from './processes.ts'
import { inRounds } from './rounds.ts'
import { report } from './sample-report.ts'

const [other] = process.argv.slice(2)
if (other === undefined) throw new Error('name the folder of the other checkout')
const folders = [fileURLToPath(new URL('..', import.meta.url)), resolve(other)] as const
const catchUps = Number(process.argv[3] ?? 3)
const connections = 64

const headers = { 'x-access-key': accessKey, 'content-type': 'application/json' }
const post = request('POST', '/incidents', headers, JSON.stringify(report))

{
  await using ours = await serviceOf(folders[0])
  await using before = await serviceOf(folders[1])
  const posting = (service: Running) => async (durationMs: number) => {
    const { perSecond, failures } = await runLoad({
      port: service.port,
      connections,
      durationMs,
      next: () => post,
    })
    if (failures > 0) throw new Error(`${failures} requests were refused`)
    return perSecond
  }
  tell('POST /incidents, 64 at once', await inRounds(posting(ours), posting(before)))
}

const caughtUp: { ours: number; beside: number }[] = []
for (let round = 0; round < catchUps; round += 1) {
  caughtUp.push({ ours: await catchUpOf(folders[0]), beside: await catchUpOf(folders[1]) })
}
const middle = caughtUp.toSorted((a, b) => a.ours / a.beside - b.ours / b.beside)[catchUps >> 1]
if (middle) tell('read model catch-up', { ...middle, ratio: middle.ours / middle.beside })

async function serviceOf(folder: string): Promise<Running & AsyncDisposable> {
  const module = await import(pathToFileURL(`${folder}/bench/processes.ts`).href)
  return module.startService()
}

/** Events a second, as the checkout's own bench prints them. */
async function catchUpOf(folder: string): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, ['bench/run.ts', 'catch-up'], {
    cwd: folder,
  })
  const [, perSecond = ''] = /([\d,]+)\/s/.exec(stdout) ?? []
  return Number(perSecond.replaceAll(',', ''))
}

function tell(what: string, { ours, beside, ratio }: { ours: number; beside: number; ratio: number }): void {
  console.log(`${what}: ${Math.round(ours)}/s beside ${Math.round(beside)}/s = ${ratio.toFixed(2)}`)
}
