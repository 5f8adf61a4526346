import type { TestProject } from 'vitest/node'
import { startTestPostgres } from './postgres-server.ts'
import { findServices, type ServiceName } from './services.ts'

/** Kafka is nothing that the product embeds: without a URL or a container engine its tests may be left out anywhere. */
const mayBeMissing: ReadonlySet<string> = new Set(['Kafka'] satisfies ServiceName[])

/** Decides once a run where each service comes from, says so, and starts the one Postgres that all test files share. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const services = await findServices(process.env)
  const findings = Object.entries(services)
  for (const [name, { from, why }] of findings) {
    console.log(from === 'nowhere' ? `${name}: its tests are skipped (${why})` : `${name}: ${from} (${why})`)
  }
  const missing = findings.filter(([name, { from }]) => from === 'nowhere' && !mayBeMissing.has(name))
  if (process.env.CI === 'true' && missing.length > 0) {
    throw new Error(
      `With CI=true no test may be skipped, but there is no ${missing.map(([name]) => name).join(', no ')}`,
    )
  }
  const postgres = await startTestPostgres(services.Postgres)
  project.provide('services', services)
  project.provide('databaseUrl', postgres?.url)
  return async () => postgres?.close()
}
