/** Arrows point inward: the lint rule of biome.json refuses an import that points outward, and process.env outside src/config.ts. */
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'

const root = fileURLToPath(new URL('..', import.meta.url))
const biome = join(root, 'node_modules/.bin/biome')

const refused: readonly (readonly [file: string, source: string])[] = [
  ['src/aggregates/incident/wrong.ts', "export * from '../../ledger/event.ts'"],
  ['src/aggregates/incident/roundabout.ts', "export * from './../../ledger/event.ts'"],
  ['src/aggregates/incident/dynamic.ts', "export const ledger = await import('../../ledger/event.ts')"],
  ['src/aggregates/incident/typed.ts', "export type { Pool } from 'pg'"],
  ['src/aggregates/incident/clock.ts', "export { performance } from 'node:perf_hooks'"],
  ['src/ledger/wrong.ts', "export * from '../projections/read-model.ts'"],
  ['src/ledger/deep/wrong.ts', "export * from '../../http/app.ts'"],
  ['src/ledger/configured.ts', "export * from '../config.ts'"],
  ['src/projections/client.ts', "export * from '@eventstore/db-client'"],
  ['src/projections/wrong.ts', "export * from '../http/app.ts'"],
  ['src/audit/wrong.ts', "export * from '../projections/read-model.ts'"],
  ['src/http/wrong.ts', "export * from '../embedded/postgres.ts'"],
  ['src/http/routes/wrong.ts', "export * from '../../cli/main.ts'"],
  ['src/http/client.ts', "export * from '@eventstore/db-client'"],
  ['src/integrations/kafka/wrong.ts', "export * from '../../http/app.ts'"],
  ['src/cli/wrong.ts', "export * from '../http/app.ts'"],
  ['src/embedded/wrong.ts', "export * from '../ledger/event.ts'"],
  ['src/embedded/event-store/wrong.ts', "export * from '../postgres.ts'"],
  ['src/embedded/event-store/client.ts', "export * from '@eventstore/db-client'"],
  ['src/main.ts', "export * from '@eventstore/db-client'"],
  ['src/http/environment.ts', 'export const level = process.env.LOG_LEVEL'],
  ['src/main-environment.ts', "export { env } from './config.ts'\nexport const port = process.env['PORT']"],
]

const accepted: readonly (readonly [file: string, source: string])[] = [
  ['src/aggregates/incident/right.ts', "export { z } from 'zod'\nexport * from './values.ts'"],
  [
    'src/ledger/right.ts',
    "export * from '../aggregates/incident/index.ts'\nexport * from '@eventstore/db-client'",
  ],
  ['src/projections/right.ts', "export * from '../ledger/event.ts'\nexport * from '../audit/merkle.ts'"],
  ['src/audit/right.ts', "export * from '../ledger/event.ts'"],
  ['src/http/right.ts', "export * from '../projections/read-model.ts'\nexport * from 'node:http'"],
  ['src/http/routes/right.ts', "export * from '../problems.ts'\nexport * from '../../audit/tree.ts'"],
  ['src/cli/right.ts', "export * from '../embedded/event-store/node.ts'\nexport * from '../config.ts'"],
  ['src/embedded/event-store/right.ts', "export * from '@eventstore/db-client/generated/streams_pb.js'"],
  ['src/config.ts', 'export const variables = process.env'],
  ['bench/right.ts', "export * from '@eventstore/db-client'"],
]

const report = z.object({
  diagnostics: z.array(z.object({ severity: z.string(), location: z.object({ path: z.string() }) })),
})

let folder: string
let errors: ReadonlySet<string>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'layers-'))
  for (const file of ['biome.json', '.gitignore']) await cp(join(root, file), join(folder, file))
  for (const [file, source] of [...refused, ...accepted]) {
    await mkdir(dirname(join(folder, file)), { recursive: true })
    await writeFile(join(folder, file), `${source}\n`)
  }
  const { diagnostics } = report.parse(JSON.parse(await lint(folder)))
  errors = new Set(
    diagnostics.filter(({ severity }) => severity === 'error').map(({ location }) => location.path),
  )
})

afterAll(() => rm(folder, { recursive: true, force: true }))

test.each(refused)('%s may not say: %s', (file) => expect(errors).toContain(file))
test.each(accepted)('%s may say: %s', (file) => expect(errors).not.toContain(file))

/** Only the rules in question: the files that the samples import do not exist. */
function lint(directory: string): Promise<string> {
  const rules = ['--only=style/noRestrictedImports', '--only=style/noProcessEnv']
  const options = ['lint', '--reporter=json', '--max-diagnostics=none', ...rules]
  return new Promise((resolve, reject) => {
    execFile(biome, options, { cwd: directory }, (error, stdout) => {
      // With findings biome exits with 1; without output it could not run at all.
      if (stdout === '') reject(error ?? new Error('biome said nothing'))
      else resolve(stdout)
    })
  })
}
