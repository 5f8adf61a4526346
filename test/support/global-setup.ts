import type { TestProject } from 'vitest/node'
import { startTestPostgres } from './postgres-server.ts'
import { findServices } from './services.ts'

/**
 * Decides once a run where each service comes from, says so, and starts the one Postgres that all test files share. A service that
 * is nowhere to be had has its tests skipped; with CI=true that fails the run instead.
 */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const services = await findServices(process.env)
  for (const [name, { from, why }] of Object.entries(services)) {
    console.log(`${name}: ${from === 'nowhere' ? 'its tests are skipped' : from} (${why})`)
  }
  const missing = Object.entries(services)
    .filter(([, { from }]) => from === 'nowhere')
    .map(([name]) => name)
  if (process.env.CI === 'true' && missing.length > 0) {
    throw new Error(`With CI=true no test may be skipped, but there is no ${missing.join(', no ')}`)
  }
  const postgres = await startTestPostgres(services.Postgres)
  project.provide('services', services)
  project.provide('databaseUrl', postgres?.url)
  return async () => postgres?.close()
}
